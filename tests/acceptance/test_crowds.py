"""Many connections at once on a server process: idle ones, open streams, and work when the end comes."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.acceptance.service import Service, furnish, serving

STREAMS = 5_000
IDLE = 2_000
PATIENCE = 120.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    furnish(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = STREAMS + 1_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with serving(tmp_path, "--dev", "--port", "0") as service:
        yield service


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def wires(service: Service, count: int) -> list[Wire]:
    """So many connections, opened a hundred at a time."""
    found: list[Wire] = []
    while len(found) < count:
        opening = [
            asyncio.open_connection("127.0.0.1", service.port) for _ in range(min(100, count - len(found)))
        ]
        found += await asyncio.gather(*opening)
    return found


async def execute(service: Service, query: str = "hi") -> httpx2.Response:
    body = {"workflow_id": "my-workflow", "input": {"query": query}}
    async with httpx2.AsyncClient(base_url=service.url, timeout=PATIENCE) as http:
        return await http.post("/api/v1/workflows/execute", json=body)


def close(crowd: list[Wire]) -> None:
    for _, writer in crowd:
        writer.close()


async def test_open_streams_all_hear_what_happens(service: Service) -> None:
    crowd = await wires(service, STREAMS)
    for _, writer in crowd:
        writer.write(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        heads = await asyncio.gather(*[reader.readuntil(b"\r\n\r\n") for reader, _ in crowd])
        assert Counter(head.split(b"\r\n")[0] for head in heads) == {b"HTTP/1.1 200 OK": STREAMS}
        done = (await execute(service)).json()
        assert done["status"] == "completed"
        told = await asyncio.gather(*[reader.readuntil(b'"completed"') for reader, _ in crowd])
    assert all(done["execution_id"].encode() in each for each in told)
    close(crowd)


async def test_idle_connections_are_hung_up_on_and_hold_nobody_up(service: Service) -> None:
    crowd = await wires(service, IDLE)
    for number, (_, writer) in enumerate(crowd):
        writer.write(b"GET /livez HTTP/1.1\r\nhost: loc"[: number % 30])
    assert (await execute(service)).status_code == 200
    async with asyncio.timeout(PATIENCE):
        said = await asyncio.gather(*[reader.read() for reader, _ in crowd])
    assert Counter(each.split(b"\r\n")[0] for each in said) == {b"HTTP/1.1 408 Request Timeout": IDLE}
    assert (await execute(service)).status_code == 200
    close(crowd)


def until(holds: Callable[[], bool]) -> None:
    """Wait for it, in a thread."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)


class Caller:
    """Executes again and again on one connection, and notes what it was answered."""

    def __init__(self, service: Service, number: int) -> None:
        self._service = service
        self._number = number
        self.accepted: dict[str, str] = {}
        self.refused = 0
        self.half: list[bytes] = []

    async def work(self) -> None:
        """Until the server is gone."""
        for round_ in range(1_000_000):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._service.port)
            except ConnectionError:
                return
            query = f"q{self._number}-{round_}"
            body = json.dumps({"workflow_id": "my-workflow", "input": {"query": query}}).encode()
            head = (
                "POST /api/v1/workflows/execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            self._note(query, await _all(reader))
            writer.close()

    def _note(self, query: str, said: bytes) -> None:
        if not said:  # never answered: the connection was still in line when the end came
            return
        head, _, body = said.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length is None or int(length[1]) != len(body):
            self.half.append(said)
        elif head.startswith(b"HTTP/1.1 503"):
            assert json.loads(body)["code"] == "draining"
            assert b"retry-after" in head
            self.refused += 1
        else:
            assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")), said
            self.accepted[query] = json.loads(body)["execution_id"]


async def _all(reader: asyncio.StreamReader) -> bytes:
    said = b""
    try:
        while part := await reader.read(65536):
            said += part
    except ConnectionError:
        pass
    return said


async def test_an_end_under_load_loses_nothing_and_answers_nothing_by_half(tmp_path: Path) -> None:
    furnish(tmp_path)
    callers: list[Caller] = []
    with serving(tmp_path, "--dev", "--port", "0") as service:
        callers += [Caller(service, number) for number in range(32)]
        working = [asyncio.ensure_future(caller.work()) for caller in callers]
        await asyncio.to_thread(until, lambda: sum(len(caller.accepted) for caller in callers) > 300)
        service.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*working)
        assert await asyncio.to_thread(service.process.wait, PATIENCE) == 0
    assert [half for caller in callers for half in caller.half] == []
    accepted = {query: id_ for caller in callers for query, id_ in caller.accepted.items()}
    with serving(tmp_path, "--dev", "--port", "0") as service:
        async with httpx2.AsyncClient(base_url=service.url, timeout=PATIENCE) as http:
            for query, execution in accepted.items():
                found = (
                    await http.get(f"/api/v1/executions/{execution}", headers={"prefer": "wait=30"})
                ).json()
                assert (found["status"], found["output"]) == ("completed", {"answer": query.upper()})
    assert len(set(accepted.values())) == len(accepted)
