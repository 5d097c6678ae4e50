"""What goes out for one answer, and in how many pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from typing_extensions import override
from uvicorn import Config
from uvicorn.server import ServerState

from stratarouter_runtime.api.protocol import Joined, LimitedProtocol


class Pieces(asyncio.Transport):
    """A transport that notes each call of the kernel that it would make."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    @override
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.sent.append(b"".join(list_of_data))

    @override
    def close(self) -> None:
        self.sent.append(b"closed")

    @override
    def is_closing(self) -> bool:
        return b"closed" in self.sent


@pytest.fixture
async def pieces() -> Pieces:
    return Pieces()


async def test_a_head_and_what_follows_at_once_are_one_piece(pieces: Pieces) -> None:
    joined = Joined(pieces, asyncio.get_running_loop())
    joined.write(b"head")
    joined.write(b"body")
    await asyncio.sleep(0)
    assert pieces.sent == [b"headbody"]


async def test_a_head_that_nothing_follows_goes_out_in_this_turn(pieces: Pieces) -> None:
    """Or whoever follows events would not know that they are coming."""
    joined = Joined(pieces, asyncio.get_running_loop())
    joined.write(b"head")
    await asyncio.sleep(0)
    assert pieces.sent == [b"head"]
    joined.write(b"part")
    joined.write(b"part")
    await asyncio.sleep(0)
    assert pieces.sent == [b"head", b"partpart"]


async def test_what_waits_goes_out_before_hanging_up(pieces: Pieces) -> None:
    joined = Joined(pieces, asyncio.get_running_loop())
    joined.write(b"head")
    joined.close()
    await asyncio.sleep(0)
    assert pieces.sent == [b"head", b"closed"]


@pytest.mark.parametrize("then", ["what is no request", "the end of the process"])
async def test_an_answer_goes_out_before_whatever_ends_its_connection(pieces: Pieces, then: str) -> None:
    """Also where that comes in the same turn of the loop."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        if then == "the end of the process":
            protocol.shutdown()
        else:
            protocol.data_received(b"\0\r\n\r\n")

    config = Config(app, lifespan="off", log_config=None, proxy_headers=False)
    config.load()
    protocol = LimitedProtocol(config=config, server_state=ServerState(), app_state={})
    protocol.connection_made(pieces)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.01)
    assert pieces.sent[0].endswith(b"part\r\n")
    assert pieces.sent[1].startswith(b"0\r\n\r\n")
    assert pieces.sent[-1] == b"closed"
    protocol.connection_lost(None)
