"""A flow with a language model, from its registration to its replay."""

from __future__ import annotations

import asyncio

import pytest
from tests.http.stage import Client, running

from stratarouter_runtime.settings import Settings
from stratarouter_runtime.testing.chat_server import ChatServer, Says

SETTINGS = Settings(
    encoder="lexical", agent_hosts="127.0.0.1", agent_secrets="secret://env/MODEL_* -> 127.0.0.1"
)
KEY = "sk-never-to-be-seen"
MODEL = """\
kind: llm
url: {url}
model: small
key: secret://env/MODEL_KEY
prompt: "Write about {{{{topic}}}}."
stream: true
price: {{ in: 1, out: 2 }}
in: {{ topic: string }}
out: {{ text: string }}
effect: pure
"""
FLOW = """\
tcfp: "1.0"
flow: writing
agents: [hold, writer]
in: { query: string }
out: string
do:
  - id: h
    call: hold
    with: { text: =query }
  - id: w
    call: writer
    with: { topic: =query }
return: =w.text
"""
ANSWER = f'{{"text": "All about rain, says {KEY}."}}'


async def started(client: Client, url: str) -> str:
    made = await client.http.put(
        "/api/v1/agents/writer", content=MODEL.format(url=url), headers={"content-type": "application/yaml"}
    )
    assert made.status_code == 201, made.text
    assert (await client.deploy("writing", FLOW)).status_code == 201
    return str((await client.execute("writing", "rain", mode="async")).json()["execution_id"])


async def test_text_is_seen_as_it_comes_and_the_key_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    server = ChatServer(Says(ANSWER, tokens=(1_000_000, 500_000)))
    async with server.serving(), running(settings=SETTINGS) as client:
        place = f"/api/v1/executions/{await started(client, server.url)}"
        watching = asyncio.create_task(client.http.get(f"{place}/events"))
        while not client.service.runtime.partials._hearings:  # noqa: ASYNC110 - nothing tells of a listener
            await asyncio.sleep(0.01)
        client.stage.gate.set()
        events = (await watching).text
        execution = (await client.http.get(f"{place}?", headers={"prefer": "wait=5"})).json()
        proof = (await client.http.post(f"{place}/replay")).json()
    pieces = [block for block in events.split("\n\n") if block.startswith("event: partial")]
    assert len(pieces) > 2
    assert '"step":"1","attempt":1' in pieces[0]
    assert execution["output"] == "All about rain, says [secret]."
    assert execution["cost"]["agents"]["writer"] == {
        "usd": "2",
        "tokens_in": 1_000_000,
        "tokens_out": 500_000,
    }
    assert proof["reproducible"] is True
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert KEY not in events + str(execution)
    assert "[secret]." in "".join(pieces)


async def test_a_key_is_sent_to_the_host_that_it_is_for_and_to_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    async with running(settings=SETTINGS) as client:
        answer = await client.http.put(
            "/api/v1/agents/writer",
            content=MODEL.format(url="https://elsewhere.test/v1"),
            headers={"content-type": "application/yaml"},
        )
    assert answer.status_code == 422
    assert "secret://env/MODEL_KEY may not be used for elsewhere.test" in answer.text
    assert KEY not in answer.text
