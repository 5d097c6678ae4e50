"""Leases of several processes at once, on the stores that several may share."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from tests.conformance.backends import name, record, records, row
from tests.postgres import server

from stratarouter_runtime.errors import LeaseLost
from stratarouter_runtime.ports import Store
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.storage.postgres import open_store

SPAN = 0.6

Open = Callable[[], Awaitable[Store]]
"""Opens the store as one more process does."""


def _in_memory() -> Open:
    store = MemoryStore(SPAN, lambda: asyncio.get_running_loop().time())

    async def once_more() -> Store:
        return store

    return once_more


async def _in_postgres() -> Open:
    url = await server().database()

    async def once_more() -> Store:
        return await open_store(url, span=SPAN)

    return once_more


@pytest.fixture(params=["memory", "postgres"])
async def opens(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    opened: list[Store] = []
    again = _in_memory() if request.param == "memory" else await _in_postgres()

    async def once_more() -> Store:
        opened.append(await again())
        return opened[-1]

    yield once_more
    for each in opened:
        await each.close()


async def test_what_is_alive_keeps_its_own(opens: Open) -> None:
    one, other = await opens(), await opens()
    first, second = await one.leases.enter(), await other.leases.enter()
    await one.create(row(1), records(0), first)
    await other.create(row(2), records(0), second)
    for _ in range(6):
        await asyncio.sleep(SPAN / 3)
        assert await one.leases.keep(first)
        assert await other.leases.keep(second)
        await one.leases.expire()
    assert await one.leases.claim(first, 10) == []
    assert not await one.leases.take(first, name(2))
    assert await other.leases.held(second) == [name(2)]
    await other.append(name(2), [record(1)], None, second)


async def test_what_stops_is_taken_over_and_changes_no_row(opens: Open) -> None:
    one, other = await opens(), await opens()
    stale, alive = await one.leases.enter(), await other.leases.enter()
    for number in range(1, 4):
        await one.create(row(number), records(0), stale)
    await asyncio.sleep(SPAN / 2)
    assert await other.leases.keep(alive)
    await asyncio.sleep(SPAN * 0.7)
    # It has run out, but nobody has taken it: nobody else can be at work on the same.
    await one.append(name(1), [record(1)], None, stale)
    await other.leases.expire()
    assert await other.leases.claim(alive, 2) == [name(1), name(2)]
    assert await other.leases.take(alive, name(3))
    late = [
        one.append(name(1), [record(2)], None, stale),
        one.append(name(2), [record(1)], row(2, status="completed"), stale),
        one.append(name(3), [], row(3, status="paused"), stale),
        one.create(row(4), records(0), stale),
    ]
    outcomes = await asyncio.gather(*late, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LeaseLost] * 4
    assert [await other.read(name(number)) for number in range(1, 5)] == [
        records(0, 1),
        records(0),
        records(0),
        [],
    ]
    assert await other.find(name(2)) == row(2, records=1, updated=1_000)
    assert not await one.leases.keep(stale)
    assert await one.leases.claim(stale, 10) == []
    again = await one.leases.enter()
    await one.create(row(5), records(0), again)
    assert await one.leases.held(again) == [name(5)]


async def test_a_lease_is_taken_only_when_what_it_had_under_way_is_decided(opens: Open) -> None:
    one, other = await opens(), await opens()
    stale, alive = await one.leases.enter(), await other.leases.enter()
    await one.create(row(1), records(0), stale)
    await asyncio.sleep(SPAN * 1.2)

    async def write() -> int:
        for seq in range(1, 10_000):
            try:
                await one.append(name(1), [record(seq)], None, stale)
            except LeaseLost:
                return seq
            await asyncio.sleep(0)
        raise AssertionError("it goes on")

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.05)
    await other.leases.keep(alive)
    await other.leases.expire()
    claimed = await other.leases.claim(alive, 10)
    seen = len(await other.read(name(1)))
    assert claimed == [name(1)]
    assert await writing == seen
    await other.append(name(1), [record(seen)], None, alive)


async def test_many_share_what_is_left_and_nothing_is_claimed_twice(opens: Open) -> None:
    first = await opens()
    gone = await first.leases.enter()
    for number in range(1, 61):
        await first.create(row(number), records(0), gone)
    await first.leases.leave(gone)
    others = [await opens() for _ in range(3)]
    leases = [await other.leases.enter() for other in others]

    async def share(store: Store, number: int) -> list[str]:
        mine: list[str] = []
        while claimed := await store.leases.claim(leases[number], 7):
            mine += claimed
            await asyncio.sleep(0)
        return mine

    shares = await asyncio.gather(*(share(store, number) for number, store in enumerate(others)))
    everything = [execution for each in shares for execution in each]
    assert sorted(everything) == [name(number) for number in range(1, 61)]
    for number, store in enumerate(others):
        assert sorted(await store.leases.held(leases[number])) == sorted(shares[number])


async def test_of_many_who_take_one_execution_one_gets_it(opens: Open) -> None:
    first = await opens()
    await first.create(row(1), records(0))
    others = [await opens() for _ in range(4)]
    leases = [await other.leases.enter() for other in others]
    took = await asyncio.gather(
        *(store.leases.take(leases[number], name(1)) for number, store in enumerate(others))
    )
    assert sum(took) == 1
    assert await others[took.index(True)].leases.take(leases[took.index(True)], name(1))


async def test_a_letter_is_for_who_drives_the_execution_now(opens: Open) -> None:
    one, other = await opens(), await opens()
    first, second = await one.leases.enter(), await other.leases.enter()
    await one.create(row(1), records(0), first)
    letter = await other.mail.post(name(1), b"stop")
    assert await other.mail.collect(second) == []
    (got,) = await one.mail.collect(first)
    assert (got.number, got.again) == (letter, False)
    await one.leases.leave(first)
    assert await other.leases.claim(second, 1) == [name(1)]
    (again,) = await other.mail.collect(second)
    assert (again.number, again.again) == (letter, True)
    await other.mail.settle(letter, b"done")
    assert await one.mail.outcome(letter) == b"done"


async def test_a_process_whose_sessions_ended_is_missed_before_its_lease_is_over() -> None:
    url = await server().database()
    one, other = await open_store(url, span=60.0), await open_store(url, span=60.0)
    first, second = await one.leases.enter(), await other.leases.enter()
    await one.create(row(1), records(0), first)
    await asyncio.sleep(1.1)
    await other.leases.expire()
    assert await other.leases.claim(second, 1) == []
    await one.close()
    await other.leases.expire()
    assert await other.leases.claim(second, 1) == [name(1)]
    await other.close()


_VICTIM = """
import asyncio, sys
from tests.conformance.backends import records, row
from stratarouter_runtime.storage.postgres import open_store

async def live(url):
    store = await open_store(url, span=60.0)
    await store.create(row(1), records(0), await store.leases.enter())
    print("begun", flush=True)
    await asyncio.Event().wait()

asyncio.run(live(sys.argv[1]))
"""


async def test_a_process_of_this_host_that_was_killed_is_missed_at_once() -> None:
    url = await server().database()
    other = await open_store(url, span=60.0)
    second = await other.leases.enter()
    victim = await asyncio.create_subprocess_exec(sys.executable, "-c", _VICTIM, url, stdout=PIPE)
    assert victim.stdout is not None
    assert await victim.stdout.readline() == b"begun\n"
    await other.leases.expire()
    assert await other.leases.claim(second, 1) == []
    victim.kill()
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):  # half of what silence takes: the server needs a moment to see it
            while not await other.leases.claim(second, 1):
                await other.leases.expire()
                await asyncio.sleep(0.01)
    assert await other.leases.held(second) == [name(1)]
    await victim.wait()
    await other.close()
