"""What may go and what stays; the store is the reference one, and the large ones under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.backends import BACKENDS, name, row
from typing_extensions import override

from stratarouter_runtime.errors import StoreUnavailable
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.ports import Size, Store
from stratarouter_runtime.services import retention
from stratarouter_runtime.services.retention import DAY, Policy, Pruned, Retention, prune
from stratarouter_runtime.state.codec import encode
from stratarouter_runtime.state.events import Finished, Started
from stratarouter_runtime.state.ledger import Ledger
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.storage.memory_keeping import MemoryKeeping

NOW = 100 * DAY


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = await BACKENDS[request.param](tmp_path)
    yield made
    await made.close()


async def make(
    store: Store,
    number: int,
    age: int = 0,
    *,
    parent: int | None = None,
    forked: int | None = None,
    live: bool = False,
) -> int:
    """An execution that ended so many days ago; the bytes of its bodies."""
    started = Started(
        name(number),
        Digest("ab" * 32),
        {},
        "seed",
        row(0).tenant,
        parent=None if parent is None else name(parent),
        forked=None if forked is None else name(forked),
    )
    at = NOW - age * DAY
    ledger, listed = Ledger(), row(number, created=at - DAY, updated=at - DAY)
    first = ledger.write(started, at - DAY)
    await store.create(listed, [first])
    if live:
        return len(first.body)
    end = Finished("completed")
    await store.append(
        name(number), [ledger.write(end, at)], row(number, created=at - DAY, updated=at, status="completed")
    )
    return len(first.body) + len(encode(end))


async def left(store: Store) -> list[str]:
    return sorted(each.id for each in await store.search(limit=1_000))


async def test_what_ended_long_ago_goes(store: Store) -> None:
    for number, age in enumerate([50, 31, 30, 3]):
        await make(store, number, age)
    assert (await prune(store.keeping, Policy(age=30 * DAY), NOW)).executions == 2
    assert await left(store) == [name(2), name(3)]


async def test_age_counts_from_the_end_and_not_from_the_start(store: Store) -> None:
    await store.create(row(1, created=0), [Ledger().write(Finished("completed"), 0)])
    await store.append(name(1), [], row(1, status="completed", updated=NOW - DAY))
    assert await prune(store.keeping, Policy(age=30 * DAY), NOW) == Pruned()


async def test_many_who_prune_at_once_take_away_no_more_than_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAGE", 4)
    monkeypatch.setattr(retention, "TOGETHER", 2)
    for number in range(40):
        await make(store, number, 90 - number)
    policy = Policy(executions=15)
    rounds = await asyncio.gather(*(prune(store.keeping, policy, NOW) for _ in range(4)))
    assert sum(each.executions for each in rounds) == 25
    assert await left(store) == sorted(name(number) for number in range(25, 40))


async def test_of_more_than_may_stay_the_oldest_go(store: Store) -> None:
    for number, age in enumerate([9, 8, 7, 6]):
        await make(store, number, age)
    await make(store, 9, live=True)
    assert (await prune(store.keeping, Policy(executions=3), NOW)).executions == 1
    assert await left(store) == [name(1), name(2), name(3), name(9)]
    assert await prune(store.keeping, Policy(executions=3), NOW) == Pruned()


async def test_bytes_are_freed_until_few_enough_are_left(store: Store) -> None:
    sizes = [await make(store, number, 9 - number) for number in range(4)]
    pruned = await prune(store.keeping, Policy(bytes=sum(sizes[2:]) + 1), NOW)
    assert (pruned.executions, pruned.bytes) == (2, sum(sizes[:2]))
    assert await left(store) == [name(2), name(3)]


async def test_what_an_unfinished_execution_needs_stays(store: Store) -> None:
    """1 called 2, which still runs; 3 is the source of a fork; 5 was called by one that still runs."""
    for number in (1, 3, 6):
        await make(store, number, 50)
    await make(store, 2, parent=1, live=True)
    await make(store, 4, forked=3, live=True)
    await make(store, 5, 50, parent=4)
    pruned = await prune(store.keeping, Policy(executions=0), NOW)
    assert (pruned.executions, pruned.live) == (1, 3)
    assert await left(store) == [name(number) for number in (1, 2, 3, 4, 5)]


async def test_what_was_held_goes_once_all_has_ended(store: Store) -> None:
    await make(store, 1, 50)
    await make(store, 2, 50, parent=1)
    assert (await prune(store.keeping, Policy(age=30 * DAY), NOW)).executions == 2


async def test_a_dry_run_counts_the_same_and_takes_nothing(store: Store) -> None:
    for number in range(3):
        await make(store, number, 50 - number)
    policy = Policy(executions=1)
    counted = await prune(store.keeping, policy, NOW, dry=True)
    assert len(await left(store)) == 3
    assert await prune(store.keeping, policy, NOW) == counted
    assert len(await left(store)) == 1


async def test_without_a_limit_everything_stays(store: Store) -> None:
    await make(store, 1, 1_000)
    assert Policy().nothing
    assert await prune(store.keeping, Policy(), NOW) == Pruned()


async def test_a_key_is_forgotten_with_its_execution(store: Store) -> None:
    await make(store, 1, 50)
    await prune(store.keeping, Policy(age=DAY), NOW)
    await make(store, 1, live=True)
    assert [each.seq for each in await store.read(name(1))] == [0]


class Ailing(MemoryKeeping):
    """Cannot say its size the first few times."""

    def __init__(self, store: MemoryStore, failures: int) -> None:
        self.__dict__.update(store.keeping.__dict__)
        self._failures = failures

    @override
    async def size(self) -> Size:
        self._failures -= 1
        if self._failures >= 0:
            raise StoreUnavailable("it is away")
        return await super().size()


class Clock:
    def now(self) -> int:
        return NOW


async def test_rounds_go_on_after_a_store_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratarouter_runtime.services.retention.PERIOD", 0.0)
    store = MemoryStore()
    for number in range(3):
        await make(store, number, 50)
    retention = Retention(Ailing(store, 2), Policy(executions=1), Clock())
    task = asyncio.create_task(retention.run())
    while retention.stats().executions < 2:  # noqa: ASYNC110 - what runs in the background tells nobody
        await asyncio.sleep(0.001)
    task.cancel()
    assert retention.stats().failures == 2
    assert await left(store) == [name(2)]


async def test_without_a_limit_nothing_runs() -> None:
    await asyncio.wait_for(Retention(MemoryStore().keeping, Policy(), Clock()).run(), 1)
