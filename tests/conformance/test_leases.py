"""Leases and letters, on every store. On memory and SQLite one process at a time holds a lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.backends import BACKENDS, name, record, records, row

from stratarouter_runtime.errors import LeaseLost
from stratarouter_runtime.ports import Store
from stratarouter_runtime.sharing import NOBODY


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await BACKENDS[request.param](tmp_path)
    yield opened
    await opened.close()


async def test_no_lease_comes_twice_and_none_is_nobody(store: Store) -> None:
    drawn = [await store.leases.enter() for _ in range(3)]
    for lease in drawn:
        await store.leases.leave(lease)
    drawn += [await store.leases.enter() for _ in range(3)]
    assert len(set(drawn)) == 6
    assert NOBODY not in drawn


async def test_whether_a_lease_is_held_is_known(store: Store) -> None:
    lease = await store.leases.enter()
    assert await store.leases.holds(lease)
    assert lease in await store.leases.living()
    await store.leases.leave(lease)
    assert lease not in await store.leases.living()
    assert not await store.leases.holds(lease)
    assert not await store.leases.holds(NOBODY)


async def test_a_lease_that_was_left_writes_nothing(store: Store) -> None:
    lease = await store.leases.enter()
    assert await store.create(row(1), records(0), lease)
    await store.append(name(1), [record(1)], None, lease)
    await store.leases.leave(lease)
    with pytest.raises(LeaseLost, match="given up for lost"):
        await store.append(name(1), [record(2)], None, lease)
    with pytest.raises(LeaseLost):
        await store.append(name(1), [record(2)], row(1, status="failed"), lease)
    with pytest.raises(LeaseLost):
        await store.append(name(1), [], row(1, status="paused"), lease)
    with pytest.raises(LeaseLost):
        await store.create(row(2), records(0), lease)
    assert await store.read(name(1)) == records(0, 1)
    assert await store.find(name(1)) == row(1, records=2, updated=1_001)
    assert await store.find(name(2)) is None
    assert not await store.leases.keep(lease)
    assert await store.leases.claim(lease, 10) == []
    assert not await store.leases.take(lease, name(1))


async def test_writes_of_a_lost_lease_spoil_no_others(store: Store) -> None:
    old = await store.leases.enter()
    await store.create(row(1), records(0), old)
    await store.leases.leave(old)
    new = await store.leases.enter()
    outcomes = await asyncio.gather(
        *(store.create(row(number), records(0), old if number % 2 else new) for number in range(2, 20)),
        store.append(name(1), [record(1)], None, old),
        return_exceptions=True,
    )
    assert [outcome is True for outcome in outcomes[:-1]] == [number % 2 == 0 for number in range(2, 20)]
    assert all(isinstance(outcome, LeaseLost) for outcome in outcomes if outcome is not True)
    assert await store.leases.held(new) == [name(number) for number in range(2, 20, 2)]


async def test_what_is_left_is_claimed_in_chunks_oldest_first_and_once(store: Store) -> None:
    first = await store.leases.enter()
    for number in range(1, 6):
        await store.create(row(number), records(0), first)
    await store.create(row(6, status="completed"), records(0), first)
    await store.append(name(2), [], row(2, status="paused"), first)
    assert await store.leases.held(first) == [name(1), name(3), name(4), name(5)]
    assert await store.leases.claim(first, 10) == []
    await store.leases.leave(first)
    second = await store.leases.enter()
    assert await store.leases.claim(second, 3) == [name(1), name(3), name(4)]
    assert await store.leases.claim(second, 3) == [name(5)]
    assert await store.leases.claim(second, 3) == []
    await store.append(name(1), [record(1)], row(1, status="failed"), second)
    assert await store.leases.held(second) == [name(3), name(4), name(5)]


async def test_one_execution_is_taken_paused_or_not_but_not_when_finished(store: Store) -> None:
    first = await store.leases.enter()
    await store.create(row(1), records(0), first)
    await store.create(row(2), records(0), first)
    await store.create(row(3, status="failed"), records(0), first)
    await store.append(name(2), [], row(2, status="paused"), first)
    assert await store.leases.take(first, name(1))
    await store.leases.leave(first)
    lease = await store.leases.enter()
    assert [await store.leases.take(lease, name(number)) for number in range(1, 5)] == [
        True,
        True,
        False,
        False,
    ]
    assert await store.leases.held(lease) == [name(1)]
    await store.append(name(2), [], row(2), lease)
    assert await store.leases.held(lease) == [name(1), name(2)]


async def test_what_nobody_began_is_claimed(store: Store) -> None:
    await store.create(row(1), records(0))
    lease = await store.leases.enter()
    assert await store.leases.claim(lease, 10) == [name(1)]


async def test_a_letter_reaches_the_owner_once_and_its_outcome_the_sender(store: Store) -> None:
    lease = await store.leases.enter()
    await store.create(row(1), records(0), lease)
    letter = await store.mail.post(name(1), b"stop")
    other = await store.mail.post(name(2), b"nobody is there")
    assert await store.mail.outcome(letter) is None
    (got,) = await store.mail.collect(lease)
    assert (got.number, got.execution, got.body, got.again) == (letter, name(1), b"stop", False)
    assert await store.mail.collect(lease) == []
    assert not await store.mail.withdraw(letter)
    await store.mail.settle(letter, b"done")
    await store.mail.settle(letter, b"done again")
    assert await store.mail.outcome(letter) == b"done"
    assert not await store.mail.withdraw(letter)
    await store.mail.discard(letter)
    assert await store.mail.outcome(letter) is None
    assert await store.mail.withdraw(other)


async def test_a_letter_that_somebody_had_begun_to_serve_says_so_to_the_next(store: Store) -> None:
    first = await store.leases.enter()
    await store.create(row(1), records(0), first)
    letter = await store.mail.post(name(1), b"stop")
    await store.mail.collect(first)
    await store.leases.leave(first)
    second = await store.leases.enter()
    assert await store.leases.claim(second, 1) == [name(1)]
    (got,) = await store.mail.collect(second)
    assert (got.number, got.again) == (letter, True)
