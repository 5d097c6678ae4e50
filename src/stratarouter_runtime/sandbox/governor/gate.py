"""Admits calls: waits in the queue of its tenant until there is room, at most until its deadline.

Must never know: what a call does with its room.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import count
from typing import Final

from msgspec import Struct

from stratarouter_runtime.sandbox.governor import shares
from stratarouter_runtime.sandbox.governor.affinity import MOST_CPUS
from stratarouter_runtime.sandbox.governor.shares import Demand, Refusal, Room, Shares

MOST_MEMORY: Final = 24 * 2**30
KEPT_FREE: Final = 2**30
MOST_WAITING: Final = 1_000


class GovernorStats(Struct, frozen=True):
    """What is given out, who waits, and how it went so far. CPU in processors, memory in bytes."""

    cpu: float
    cpu_used: float
    memory: int
    memory_used: int
    waiting: int
    granted: int
    refused: int
    timed_out: int


class Refused(Exception):
    """There will be no room: `why` says what it would take, or `late` that it waited too long."""

    def __init__(self, why: Refusal | str, message: str) -> None:
        super().__init__(message)
        self.why = why
        self.message = message


def room_here(available: int) -> Room:
    """What may be reserved where so many bytes of memory can still be had.

    A gigabyte of them stays free, or a quarter where that is less.
    """
    cpus = min(MOST_CPUS, len(os.sched_getaffinity(0)))
    kept = min(KEPT_FREE, available // 4)
    return Room(cpus * 1000, min(MOST_MEMORY, available - kept))


class Governor:
    """Belongs to one event loop.

    `reclaim` hears how many bytes are short for who is next; what it lets go is given back once it is free.
    """

    def __init__(
        self,
        total: Room,
        *,
        most_waiting: int = MOST_WAITING,
        reclaim: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._shares = Shares(total, most_waiting)
        self._reclaim = reclaim
        self._callers: dict[int, asyncio.Future[None]] = {}
        self._numbers = count()
        self._granted = self._refused = self._timed_out = 0

    async def reserve(self, tenant: str, room: Room, *, seconds: float, patience: float) -> None:
        """Wait for `room`, which the caller gives back; `seconds` is how long it will be used at most.

        Raises `Refused` where it is more than there is, where too many of this tenant's wait, or after
        `patience` seconds.
        """
        if shares.take(self._shares, room):
            self._granted += 1
            return
        demand = Demand(next(self._numbers), tenant, room, room.cpu * max(seconds, 0.001))
        refusal = self._offer(demand)
        if refusal is not None:
            self._refused += 1
            raise Refused(refusal, self._words(refusal, room))
        caller = self._callers[demand.number] = asyncio.get_running_loop().create_future()
        self._grant()
        if caller.done():
            return
        try:
            async with asyncio.timeout(patience):
                await caller
        except Refused:
            raise
        except BaseException as error:
            self._give_up(demand)
            if not isinstance(error, TimeoutError):
                raise
            self._timed_out += 1
            raise Refused("late", f"no room came free in {patience:.1f} s") from None

    def give_back(self, room: Room) -> None:
        """What was reserved, or a part of it, is not needed any more."""
        shares.give_back(self._shares, room)
        self._grant()

    def stats(self) -> GovernorStats:
        """Counters since the start, and what is in use now."""
        total, free = self._shares.total, self._shares.free
        return GovernorStats(
            cpu=total.cpu / 1000,
            cpu_used=(total.cpu - free.cpu) / 1000,
            memory=total.memory,
            memory_used=total.memory - free.memory,
            waiting=self._shares.length,
            granted=self._granted,
            refused=self._refused,
            timed_out=self._timed_out,
        )

    def _offer(self, demand: Demand) -> Refusal | None:
        """Queue it; who has filled the queue makes way for a tenant that waits less."""
        refusal = shares.offer(self._shares, demand)
        if refusal != "queue":
            return refusal
        last = shares.make_room(self._shares, demand.tenant)
        if last is None:
            return refusal
        self._refused += 1
        caller = self._callers.pop(last.number)
        if not caller.done():
            caller.set_exception(Refused("queue", self._words("queue", last.room)))
        return shares.offer(self._shares, demand)

    def _give_up(self, demand: Demand) -> None:
        """The caller waits no more; what it was granted in the meantime is free again."""
        if self._callers.pop(demand.number, None) is None:
            self.give_back(demand.room)
        else:
            shares.withdraw(self._shares, demand)
            self._grant()

    def _grant(self) -> None:
        while (demand := shares.following(self._shares)) is not None:
            short = demand.room.memory - self._shares.free.memory
            if short > 0 and demand.room.cpu <= self._shares.free.cpu:
                self._reclaim(short)
            if not shares.fits(self._shares, demand):
                return
            shares.grant(self._shares, demand)
            self._granted += 1
            caller = self._callers.pop(demand.number)
            if not caller.done():
                caller.set_result(None)

    def _words(self, refusal: Refusal, room: Room) -> str:
        total = self._shares.total
        match refusal:
            case "cpu":
                return f"it asks for {room.cpu / 1000:g} CPUs; there are {total.cpu / 1000:g}"
            case "memory":
                return (
                    f"it asks for {room.memory >> 20:,} MiB of memory; {total.memory >> 20:,} can be reserved"
                )
            case "queue":
                return f"{self._shares.length:,} calls wait already"
