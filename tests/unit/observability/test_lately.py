from __future__ import annotations

import asyncio

import pytest

from stratarouter_runtime.observability import lately
from stratarouter_runtime.observability.lately import Lately


class Making:
    """Counts how often it was made, and waits until it may go on."""

    def __init__(self) -> None:
        self.made = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> int:
        self.made += 1
        await self.go.wait()
        return self.made


async def test_it_is_made_once_for_all_who_ask_at_once_and_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    making = Making()
    value = Lately(making)
    assert await asyncio.gather(*(value.get() for _ in range(10))) == [1] * 10
    assert await value.get() == 1
    monkeypatch.setattr(lately, "GOOD_FOR", 0.0)
    assert await value.get() == 2


async def test_one_who_gives_up_stops_nobody() -> None:
    making = Making()
    making.go.clear()
    value = Lately(making)
    first, second = asyncio.create_task(value.get()), asyncio.create_task(value.get())
    await asyncio.sleep(0)
    first.cancel()
    making.go.set()
    assert await second == making.made == 1


async def test_what_could_not_be_made_is_tried_again() -> None:
    wrong = True

    async def make() -> int:
        if wrong:
            raise ValueError("not now")
        return 1

    value = Lately(make)
    with pytest.raises(ValueError, match="not now"):
        await value.get()
    wrong = False
    assert await value.get() == 1
