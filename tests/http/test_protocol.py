"""The limits on the wire, over real sockets: a server in this loop, and bytes written by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from tests.http.stage import ECHO, EXECUTE, Client, running

from stratarouter_runtime.api.app import create_app
from stratarouter_runtime.api.errors import KINDS
from stratarouter_runtime.api.protocol import LimitedProtocol
from stratarouter_runtime.api.server import bind

LIVE = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Narrow(LimitedProtocol):
    """Limits that a test can reach."""

    head_seconds = 0.3
    body_seconds = 0.3
    stalled_seconds = 0.3
    max_head = 1000
    max_connections = 3


class Wire:
    """A connection on which anything can be written."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and body of the next response."""
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
            body = await self.reader.readexactly(int(fields["content-length"]))
        return int(head.split(b" ")[1]), json.loads(body)

    async def closed(self) -> bool:
        """Whether the server has hung up, waiting a while for it."""
        try:
            async with asyncio.timeout(5):
                return await self.reader.read() == b""
        except ConnectionResetError:
            return True


class Listening:
    """A server that listens; `wire` opens a connection."""

    def __init__(self, client: Client, port: int) -> None:
        self.client = client
        self._port = port
        self._wires: list[Wire] = []

    async def wire(self) -> Wire:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self._port))
        self._wires.append(wire)
        return wire

    async def close(self) -> None:
        for wire in self._wires:
            wire.writer.close()


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    async with running() as client:
        with bind("127.0.0.1", 0) as listener:
            config = uvicorn.Config(
                create_app(client.service), http=Narrow, ws="none", lifespan="off", log_config=None
            )
            server = uvicorn.Server(config)
            task = asyncio.create_task(server._serve(sockets=[listener]))
            while not server.started:  # noqa: ASYNC110 - it says so in no other way
                await asyncio.sleep(0.01)
            listening = Listening(client, listener.getsockname()[1])
            yield listening
            await listening.close()
            server.should_exit = True
            await task


def check(answered: tuple[int, dict[str, Any]], code: str) -> None:
    status, problem = answered
    assert (status, problem["code"]) == (KINDS[code].status, code)


async def test_requests_are_answered_one_after_the_other_on_one_connection(listening: Listening) -> None:
    wire = await listening.wire()
    for _ in range(3):
        await wire.send(LIVE)
        assert (await wire.answer())[0] == 200
        await asyncio.sleep(0.2)  # longer in all than the time for one


async def test_pipelined_requests_are_answered_in_order(listening: Listening) -> None:
    wire = await listening.wire()
    await wire.send(LIVE + LIVE.replace(b"livez", b"nopez") + LIVE)
    assert [(await wire.answer())[0] for _ in range(3)] == [200, 404, 200]


@pytest.mark.parametrize("sent", [b"", b"G", LIVE[:-2]])
async def test_headers_that_do_not_arrive_in_time_are_told_and_hung_up_on(
    listening: Listening, sent: bytes
) -> None:
    wire = await listening.wire()
    await wire.send(sent)
    check(await wire.answer(), "request-timeout")
    assert await wire.closed()


async def drip(wire: Wire, data: bytes) -> None:
    for byte in data:
        await wire.send(bytes([byte]))
        await asyncio.sleep(0.02)


async def test_headers_that_drip_in_are_hung_up_on(listening: Listening) -> None:
    wire = await listening.wire()
    began = asyncio.get_running_loop().time()
    with pytest.raises(ConnectionError):
        await drip(wire, LIVE * 100)
    assert asyncio.get_running_loop().time() - began < 2


async def test_a_second_request_that_drips_in_is_hung_up_on_too(listening: Listening) -> None:
    wire = await listening.wire()
    await wire.send(LIVE)
    assert (await wire.answer())[0] == 200
    await wire.send(LIVE[:10])
    check(await wire.answer(), "request-timeout")
    assert await wire.closed()


async def test_a_body_that_does_not_arrive_in_time_is_hung_up_on(listening: Listening) -> None:
    wire = await listening.wire()
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    await wire.send(head % EXECUTE.encode())
    check(await wire.answer(), "request-timeout")
    assert await wire.closed()


async def test_a_body_that_never_comes_is_not_answered_twice(listening: Listening) -> None:
    wire = await listening.wire()
    await wire.send(b"POST /nope HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
    check(await wire.answer(), "not-found")
    assert await wire.closed()


async def test_whoever_takes_nothing_of_the_answer_is_hung_up_on(listening: Listening) -> None:
    wire = await listening.wire()
    transport = wire.writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    ask = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"

    async def ask_for_ever() -> None:
        while True:  # more answers than all buffers between the two hold
            await wire.send(ask * 10)
            await asyncio.sleep(0.01)

    async with asyncio.timeout(20):
        with pytest.raises(ConnectionError):
            await ask_for_ever()


async def test_half_a_flow_is_never_deployed(listening: Listening) -> None:
    head = b"PUT /api/v1/workflows/echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/yaml\r\n"
    half = ECHO.encode() + b"# more of it"
    wire = await listening.wire()
    await wire.send(head + b"content-length: %d\r\n\r\n" % (len(half) + 100) + half)
    await asyncio.sleep(0.1)
    wire.writer.close()
    await asyncio.sleep(0.2)
    assert (await listening.client.http.get("/api/v1/workflows/echo")).status_code == 404


async def test_a_chunk_that_is_none_is_a_problem(listening: Listening) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    wire = await listening.wire()
    await wire.send(head % EXECUTE.encode() + b"2\r\n{}\r\n")
    await asyncio.sleep(0.05)
    await wire.send(b"zz\r\n")
    check(await wire.answer(), "malformed-request")
    assert await wire.closed()


async def test_a_body_that_comes_in_pieces_in_time_is_answered(listening: Listening) -> None:
    await listening.client.deploy("echo", ECHO)
    body = b'{"workflow_id": "echo", "input": {"query": "a"}}'
    head = (
        b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    )
    wire = await listening.wire()
    sent = head % (EXECUTE.encode(), len(body)) + body
    for start in range(0, len(sent), 40):
        await wire.send(sent[start : start + 40])
        await asyncio.sleep(0.01)
    status, answer = await wire.answer()
    assert (status, answer["output"]) == (200, {"answer": "A"})


@pytest.mark.parametrize("head", [b"x-a: " + b"a" * 1000, b"\r\n".join(b"x-%d: a" % n for n in range(200))])
async def test_headers_beyond_their_size_are_refused(listening: Listening, head: bytes) -> None:
    wire = await listening.wire()
    await wire.send(LIVE[:-2] + head)
    check(await wire.answer(), "headers-too-large")
    assert await wire.closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /liv\xc3\xa9z HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/9\r\n\r\n",
        b"POST /livez HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST /livez HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_no_http_is_a_problem(listening: Listening, sent: bytes) -> None:
    wire = await listening.wire()
    await wire.send(sent)
    check(await wire.answer(), "malformed-request")
    assert await wire.closed()


async def test_one_connection_more_than_the_limit_is_refused(listening: Listening) -> None:
    wires = [await listening.wire() for _ in range(Narrow.max_connections)]
    for wire in wires:
        await wire.send(LIVE)
        assert (await wire.answer())[0] == 200
    check(await (await listening.wire()).answer(), "too-many-connections")
    wires[0].writer.close()
    await asyncio.sleep(0.1)
    again = await listening.wire()
    await again.send(LIVE)
    assert (await again.answer())[0] == 200
