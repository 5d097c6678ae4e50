"""What was read a moment ago: for how long it is believed, and who reads it."""

from __future__ import annotations

import asyncio

import pytest
from tests.clocks import Hand

from stratarouter_runtime.errors import NotFound
from stratarouter_runtime.freshness import FRESH, Recent


async def test_however_many_ask_at_once_it_is_read_once() -> None:
    clock, asked, gate = Hand(), [], asyncio.Event()

    async def look(name: str) -> int:
        asked.append(name)
        await gate.wait()
        return len(asked)

    recent = Recent(look, clock)
    waiting = [asyncio.create_task(recent.get("a")) for _ in range(5)]
    await asyncio.sleep(0)
    waiting.pop(0).cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == [1, 1, 1, 1]
    assert await recent.get("a") == 1


async def test_what_changes_while_it_is_read_is_read_again() -> None:
    kept, gate = ["old"], asyncio.Event()

    async def look(_name: str) -> str:
        found = kept[0]
        await gate.wait()
        return found

    recent = Recent(look, Hand())
    early = asyncio.create_task(recent.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    kept[0] = "new"
    recent.forget("a")
    gate.set()
    assert [await recent.get("a"), await early, await recent.get("a")] == ["new", "old", "new"]


async def test_what_cannot_be_read_is_told_to_all_and_asked_again() -> None:
    asked: list[str] = []

    async def look(name: str) -> str:
        asked.append(name)
        raise NotFound("gone")

    recent = Recent(look, Hand())
    found = await asyncio.gather(recent.get("a"), recent.get("a"), return_exceptions=True)
    assert [type(each) for each in found] == [NotFound, NotFound]
    with pytest.raises(NotFound):
        await recent.get("a")
    assert asked == ["a", "a"]


async def test_what_was_read_is_believed_for_half_a_second() -> None:
    clock, asked = Hand(), []

    async def look(name: str) -> int:
        asked.append(name)
        return len(asked)

    recent = Recent(look, clock)
    assert [await recent.get("a"), await recent.get("a"), await recent.get("b")] == [1, 1, 2]
    clock.at += FRESH
    assert await recent.get("a") == 3
    recent.forget("a")
    assert await recent.get("a") == 4
    clock.at -= 10
    assert await recent.get("a") == 5
