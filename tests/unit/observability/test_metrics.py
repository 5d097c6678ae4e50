from __future__ import annotations

import asyncio

from msgspec import Struct

from stratarouter_runtime.observability.metrics import Metrics
from stratarouter_runtime.observability.table import Metric

TABLE = (
    Metric("a", "gauge", "A.", "part", "a"),
    Metric("b", "gauge", "B.", "part", "b", labels=("name",)),
    Metric("c", "gauge", "C.", "absent", "c"),
)


class Stats(Struct, frozen=True):
    a: int
    b: dict[str, int]


class Part:
    def __init__(self, names: int = 1) -> None:
        self.asked = 0
        self._b = {f"n{number}": number for number in range(names)}

    def stats(self) -> Stats:
        self.asked += 1
        return Stats(self.asked, self._b)


async def test_a_scrape_has_what_parts_say_and_nothing_of_parts_that_are_not_there() -> None:
    metrics = Metrics(TABLE)
    metrics.add("part", Part().stats)
    text = (await metrics.scrape()).decode()
    assert "stratarouter_a 1\n" in text
    assert 'stratarouter_b{name="n0"} 0\n' in text
    assert "stratarouter_c" not in text


async def test_whoever_asks_within_a_second_gets_the_same_answer() -> None:
    part = Part(names=5_000)
    metrics = Metrics(TABLE)
    metrics.add("part", part.stats)
    together = await asyncio.gather(*(metrics.scrape() for _ in range(10)))
    assert {*together, await metrics.scrape()} == {together[0]}
    assert part.asked == 1


async def test_after_a_second_parts_are_asked_again() -> None:
    part = Part()
    metrics = Metrics(TABLE)
    metrics.add("part", part.stats)
    await metrics.scrape()
    metrics._told.forget()
    assert b"stratarouter_a 2\n" in await metrics.scrape()


async def test_others_get_their_turn_while_a_long_text_is_rendered() -> None:
    metrics = Metrics(TABLE)
    metrics.add("part", Part(names=5_000).stats)
    turns = 0
    scraping = asyncio.create_task(metrics.scrape())
    while not scraping.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= len(await scraping) / 16_384 - 1


async def test_one_who_gives_up_does_not_stop_the_scrape_of_others() -> None:
    metrics = Metrics(TABLE)
    metrics.add("part", Part(names=5_000).stats)
    first, second = asyncio.create_task(metrics.scrape()), asyncio.create_task(metrics.scrape())
    await asyncio.sleep(0)
    first.cancel()
    assert b"stratarouter_a 1\n" in await second
