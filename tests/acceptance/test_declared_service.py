"""A flow calls a service that the project declares, with a secret from the environment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.wiring import application
from stratarouter_runtime.workshops import open_project

AGENTS = """
hosts: [127.0.0.1]
agents:
  greet:
    kind: http
    url: http://127.0.0.1:{port}/greet
    headers: {{ authorization: secret://env/GREETER_TOKEN }}
    in: {{ name: string }}
    out: {{ text: string }}
    effect: idempotent
"""
FLOW = """
tcfp: "1.0"
flow: hello
agents: [greet]
in: { name: string }
out: string
do:
  - id: g
    call: greet
    with: { name: =name }
    retry: { max: 2 }
return: =g.text
"""


async def test_a_service_is_called_again_with_the_same_key_and_its_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        name = orjson.loads(await reader.readexactly(length))["name"]
        body = orjson.dumps({"text": f"Hello {name}", "more": True})
        status = b"503 Busy" if len(heads) == 1 else b"200 OK"
        writer.write(
            b"HTTP/1.1 %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (status, len(body), body)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    (tmp_path / "agents.yaml").write_text(AGENTS.format(port=server.sockets[0].getsockname()[1]))
    monkeypatch.setenv("GREETER_TOKEN", "Bearer hush")
    registry = open_project(tmp_path)
    async with server, application(Settings(), registry, store=":memory:") as app:
        plan = app.runtime.flows.compile(FLOW)
        request = StartExecution(plan=plan, input={"name": "Ana"}, flow=FlowId("hello"))
        execution = await app.runtime.execute(request, 10)
        assert (await app.runtime.history.replay(execution.id)).reproducible
    assert (execution.status, execution.output) == ("completed", "Hello Ana")
    keys = {line for head in heads for line in head.split(b"\r\n") if line.startswith(b"idempotency-key")}
    assert (len(heads), len(keys)) == (2, 1)
    assert all(b"authorization: Bearer hush" in head for head in heads)
