"""The lease of a process: held, lost, left, and nobody given up for lost who could not be heard."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import override

from stratarouter_runtime.errors import LeaseLost, StoreUnavailable
from stratarouter_runtime.executor.presence import Hold, Presence
from stratarouter_runtime.sharing import Lease, Leases
from stratarouter_runtime.storage.memory import MemoryStore

SPAN = 0.3


class Watched(Leases):
    """Leases of a store in memory, which may be away; counts what it was asked."""

    def __init__(self, span: float | None = SPAN) -> None:
        self.span = span
        self.kept = MemoryStore(span, lambda: asyncio.get_running_loop().time()).leases
        self.away = False
        self.keeps = 0
        self.expired = 0

    @override
    async def enter(self) -> Lease:
        return await self.kept.enter()

    @override
    async def keep(self, lease: Lease) -> bool:
        self.keeps += 1
        if self.away:
            raise StoreUnavailable("away")
        return await self.kept.keep(lease)

    @override
    async def leave(self, lease: Lease) -> None:
        if self.away:
            raise StoreUnavailable("away")
        await self.kept.leave(lease)

    @override
    async def expire(self) -> None:
        self.expired += 1
        await self.kept.expire()

    @override
    async def claim(self, lease: Lease, limit: int) -> list[object]:  # type: ignore[override]  # never asked
        raise AssertionError

    @override
    async def take(self, lease: Lease, execution: object) -> bool:
        raise AssertionError

    @override
    async def holds(self, lease: Lease) -> bool:
        raise AssertionError

    @override
    async def living(self) -> frozenset[Lease]:
        raise AssertionError

    @override
    async def held(self, lease: Lease) -> list[object]:  # type: ignore[override]  # never asked
        raise AssertionError


async def test_a_process_enters_once_however_many_ask() -> None:
    presence = Presence(Watched(), _nobody)
    holds = await asyncio.gather(*(presence.hold() for _ in range(5)))
    assert {hold.number for hold in holds} == {1}
    await presence.leave()


async def test_a_lease_is_kept_for_as_long_as_the_process_runs() -> None:
    leases = Watched()
    presence = Presence(leases, _nobody)
    hold = await presence.hold()
    await asyncio.sleep(3 * SPAN)
    await leases.kept.expire()
    asked = leases.keeps
    await hold.confirm()
    assert asked > 3
    assert leases.keeps == asked  # what is known to hold is not asked for
    await presence.leave()
    assert not await leases.kept.keep(hold.number)


async def test_a_lease_that_was_taken_is_forsaken_once_and_the_next_one_is_another() -> None:
    leases, forsaken = Watched(), list[Hold]()
    presence = Presence(leases, forsaken.append)
    hold = await presence.hold()
    await leases.kept.leave(hold.number)
    hold.until = 0.0
    for _ in range(2):
        with pytest.raises(LeaseLost):
            await hold.confirm()
    presence.lose(hold)
    assert forsaken == [hold]
    again = await presence.hold()
    assert again.number != hold.number
    await again.confirm()
    await presence.leave()


async def test_a_process_that_notices_late_begins_nothing() -> None:
    """It was stopped past its lease, and another has taken it: it asks before it acts."""
    leases = Watched()
    presence = Presence(leases, _nobody)
    hold = await presence.hold()
    await presence.leave()
    with pytest.raises(LeaseLost):
        await hold.confirm()


async def test_after_an_outage_nobody_is_given_up_for_lost_for_a_span() -> None:
    leases = Watched()
    presence = Presence(leases, _nobody)
    await presence.expire()
    hold = await presence.hold()
    await presence.expire()
    assert leases.expired == 2
    leases.away = True
    await asyncio.sleep(1.5 * SPAN)
    await presence.expire()
    leases.away = False
    await presence.keep(hold)
    await presence.expire()
    assert leases.expired == 2
    await asyncio.sleep(1.2 * SPAN)
    await presence.expire()
    assert leases.expired == 3
    leases.away = True
    await presence.leave()  # nobody hears of it, and it runs out


async def test_alone_with_a_store_nothing_is_kept_or_expired() -> None:
    leases = Watched(None)
    presence = Presence(leases, _nobody)
    hold = await presence.hold()
    await hold.confirm()
    await presence.expire()
    assert (leases.keeps, leases.expired, presence.shared) == (0, 0, False)


def _nobody(hold: Hold) -> None:
    raise AssertionError("nothing was lost")
