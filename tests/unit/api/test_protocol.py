"""What goes out for one answer, and in how many pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from typing_extensions import override

from stratarouter_runtime.api.protocol import Joined


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
