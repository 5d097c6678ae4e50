from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import pytest
from tests.http.stage import ASKING, ECHO, HOLD, Client, check_problem

from stratarouter_runtime.api import streaming
from stratarouter_runtime.api.app import create_app
from stratarouter_runtime.api.exchange import Message
from stratarouter_runtime.ids import ExecutionId, Tenant


def frames(body: str) -> list[dict[str, str]]:
    blocks = [block for block in body.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


async def events(client: Client, execution: str, **headers: str) -> list[dict[str, str]]:
    response = await client.http.get(f"/api/v1/executions/{execution}/events", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    return frames(response.text)


async def executed(client: Client) -> str:
    await client.deploy("echo", ECHO)
    return str((await client.execute("echo")).json()["execution_id"])


async def test_an_execution_that_has_ended_streams_all_its_facts_and_the_stream_ends(client: Client) -> None:
    found = await events(client, await executed(client))
    assert [frame["event"] for frame in found] == ["started", "returned", "finished"]
    assert [frame["id"] for frame in found] == ["0", "1", "2"]
    assert '"output":{"answer":"HI"}' in found[-1]["data"]


async def test_a_client_goes_on_after_the_last_event_it_has_seen(quick: Client) -> None:
    found = await events(quick, await executed(quick), **{"last-event-id": "1"})
    assert [frame["id"] for frame in found] == ["2"]


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9" * 10, "\u0661"])
async def test_a_last_event_id_that_is_no_number_is_refused(quick: Client, given: str) -> None:
    path = f"/api/v1/executions/{await executed(quick)}/events"
    response = await quick.http.get(path, headers={b"last-event-id": given.encode()})
    check_problem(response, 400, "malformed-request")


async def test_there_are_no_events_of_an_unknown_execution(quick: Client) -> None:
    check_problem(await quick.http.get(f"/api/v1/executions/exec_{'0' * 32}/events"), 404, "not-found")


class Listener:
    """A client that stays connected, and leaves when told."""

    def __init__(self, client: Client, execution: str | None = None, seen: bytes | None = None) -> None:
        path = "/api/v1/events" if execution is None else f"/api/v1/executions/{execution}/events"
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), *([(b"last-event-id", seen)] if seen else [])],
            "root_path": "",
        }
        self.leave = asyncio.Event()
        self.heard = asyncio.Queue[bytes]()
        app = create_app(client.service)
        self.done = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message.get("body"):
            self.heard.put_nowait(message["body"])

    async def hear(self) -> dict[str, str]:
        return frames((await asyncio.wait_for(self.heard.get(), 2)).decode())[0]


async def held(client: Client) -> str:
    await client.deploy("hold", HOLD)
    return str((await client.execute("hold", mode="async")).json()["execution_id"])


async def test_facts_come_as_they_become_durable(quick: Client) -> None:
    listener = Listener(quick, await held(quick))
    assert (await listener.hear())["event"] == "started"
    assert listener.heard.empty()
    quick.stage.gate.set()
    assert (await listener.hear())["event"] == "returned"
    assert (await listener.hear())["event"] == "finished"
    await asyncio.wait_for(listener.done, 2)


async def test_a_client_that_leaves_leaves_nothing_behind(quick: Client) -> None:
    execution = ExecutionId(await held(quick))
    listener = Listener(quick, execution)
    await listener.hear()
    assert quick.app.runtime.history._feed._watchers
    listener.leave.set()
    await asyncio.wait_for(listener.done, 2)
    assert not quick.app.runtime.history._feed._watchers


async def test_silence_is_broken_by_comments(quick: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.01)
    listener = Listener(quick, await held(quick))
    await listener.hear()
    comment: Any = await asyncio.wait_for(listener.heard.get(), 2)
    assert comment == b": still here\n\n"
    listener.leave.set()
    await asyncio.wait_for(listener.done, 2)


async def test_many_listen_to_one_execution(quick: Client) -> None:
    execution = await held(quick)
    listeners = [Listener(quick, execution) for _ in range(50)]
    for listener in listeners:
        await listener.hear()
    quick.stage.gate.set()
    for listener in listeners:
        assert [(await listener.hear())["event"] for _ in range(2)] == ["returned", "finished"]
        await asyncio.wait_for(listener.done, 2)


def statuses(heard: list[dict[str, str]]) -> list[str]:
    return [json.loads(each["data"])["status"] for each in heard]


async def test_what_happens_at_all_is_told_from_now_on(quick: Client) -> None:
    await executed(quick)
    listener = Listener(quick)
    await asyncio.sleep(0)
    await quick.deploy("asking", ASKING)
    waiting = (await quick.execute("asking")).json()["execution_id"]
    await quick.http.post(f"/api/v1/executions/{waiting}/answer", json={"step": "approve", "value": True})
    heard = [await listener.hear() for _ in range(3)]
    assert statuses(heard) == ["running", "waiting", "completed"]
    assert {each["event"] for each in heard} == {"execution"}
    assert {json.loads(each["data"])["execution_id"] for each in heard} == {waiting}
    again = Listener(quick, seen=heard[1]["id"].encode())
    assert await again.hear() == heard[2]
    for each in (listener, again):
        each.leave.set()
        await asyncio.wait_for(each.done, 2)


async def test_that_one_is_paused_and_resumed_is_told(client: Client) -> None:
    await client.deploy("asking", ASKING)
    waiting = (await client.execute("asking")).json()["execution_id"]
    listener = Listener(client)
    await asyncio.sleep(0)
    for act in ("pause", "resume"):
        assert (await client.http.post(f"/api/v1/executions/{waiting}/{act}")).status_code == 202
    await client.http.post(f"/api/v1/executions/{waiting}/answer", json={"step": "approve", "value": True})
    heard = [await listener.hear() for _ in range(3)]
    assert statuses(heard) == ["paused", "waiting", "completed"]
    moments = [json.loads(each["data"])["at"] for each in heard]
    assert moments == sorted(moments)
    listener.leave.set()
    await asyncio.wait_for(listener.done, 2)


async def test_who_falls_behind_is_told_how_much_was_missed(
    quick: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick.app.runtime.news, "_changes", deque(maxlen=3))
    for _ in range(3):
        await executed(quick)
    listener = Listener(quick, seen=b"1")
    missed = await listener.hear()
    assert (missed["event"], json.loads(missed["data"])) == ("lagged", {"missed": 2})
    assert statuses([await listener.hear() for _ in range(3)]) == ["completed", "running", "completed"]
    listener.leave.set()
    await asyncio.wait_for(listener.done, 2)


async def test_nobody_hears_of_another_tenant(quick: Client) -> None:
    news = quick.app.runtime.news
    await executed(quick)
    mine = news.read(Tenant("another"), 0, 0.01)
    assert await anext(mine) is None
    await executed(quick)
    assert await anext(mine) is None
