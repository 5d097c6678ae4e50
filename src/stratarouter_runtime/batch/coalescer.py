"""Equal work in flight is done once, and every waiter gets its own copy of what comes of it.

A flight runs in a task of its own: who leaves, or runs out of time, stops nobody else. Only a
flight that nobody waits for any more is given up. Must never know: what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from stratarouter_runtime.errors import Interrupted

T = TypeVar("T")

WAITERS: Final = 10_000
"""Who waits for one flight at most; the next one leads another."""

ELECTIONS: Final = 3
"""How often the waiters of a flight whose leader died begin it anew."""


class Shared(Struct, Generic[T], frozen=True):
    """What came of the work; `led` where this caller's own work was done."""

    value: T
    led: bool


class CoalescerStats(Struct, frozen=True):
    """Work in flight, and who waits for it."""

    flights: int
    waiters: int


@dataclass(slots=True, eq=False)
class _Flight:
    key: str
    result: asyncio.Future[Any]
    until: float | None
    task: asyncio.Task[None] | None = None
    waiters: int = 0
    timer: asyncio.TimerHandle | None = None
    late: bool = field(default=False)


class Coalescer:
    """Flights by key. Times are those of the event loop, in seconds."""

    def __init__(self, *, waiters: int = WAITERS, elections: int = ELECTIONS) -> None:
        self._flights: dict[str, _Flight] = {}
        self._waiters = waiters
        self._elections = elections

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    def __len__(self) -> int:
        return len(self._flights)

    def stats(self) -> CoalescerStats:
        """Who shares what at this moment."""
        return CoalescerStats(len(self._flights), sum(flight.waiters for flight in self._flights.values()))

    async def share(
        self,
        key: str,
        work: Callable[[], Awaitable[T]],
        *,
        until: float | None = None,
        copy: Callable[[T], T] | None = None,
    ) -> Shared[T]:
        """Do this work, or wait for who does it already; `until` is when this caller stops waiting.

        The work goes on until the last of its waiters' times. Raises what the work raises, to all who
        wait for it at that moment: nothing is remembered. Raises `Interrupted` where it was given up
        under them again and again.
        """
        for _ in range(self._elections + 1):
            flight, led = self._join(key, work, None)
            self._extend(flight, until, fresh=led)
            try:
                value: T = await self._await(flight)
            except _LeaderDied:
                continue
            return Shared(value if led or copy is None else copy(value), led)
        raise self._lost()

    async def attend(
        self,
        key: str,
        begin: Callable[[], Awaitable[T]],
        end: Callable[[T], Awaitable[None]],
        *,
        until: float | None = None,
    ) -> Shared[T]:
        """Like `share` for work that goes on by itself once it has begun: `begin` gives a handle to it.

        Later callers get the same handle until `end` returns. Nobody who leaves stops it. Who has more
        time than the work was begun with (`until`) begins it anew. Whoever has come counts until it ends:
        so many may attend one at most. Raises as `share`.
        """
        for _ in range(self._elections + 1):
            flight = self._flights.get(key)
            if flight is not None and _shorter(flight.until, until):
                del self._flights[key]
            flight, led = self._join(key, begin, end)
            if led:
                flight.until = until
            try:
                value: T = await self._await(flight, lasting=True)
            except _LeaderDied:
                continue
            return Shared(value, led)
        raise self._lost()

    def _lost(self) -> Interrupted:
        times = self._elections + 1
        return Interrupted(f"work shared with other callers was given up {times} times", hint="ask again")

    def _join(
        self, key: str, work: Callable[[], Awaitable[T]], end: Callable[[T], Awaitable[None]] | None
    ) -> tuple[_Flight, bool]:
        flight = self._flights.get(key)
        if flight is not None and flight.waiters < self._waiters:
            return flight, False
        loop = asyncio.get_running_loop()
        flight = self._flights[key] = _Flight(key, loop.create_future(), None)
        flight.task = loop.create_task(self._fly(flight, work, end), name="coalesced")
        return flight, True

    async def _fly(
        self,
        flight: _Flight,
        work: Callable[[], Awaitable[T]],
        end: Callable[[T], Awaitable[None]] | None,
    ) -> None:
        result = flight.result
        try:
            value = await work()
            if end is None:
                self._unlist(flight)
            if not result.done():
                result.set_result(value)
            if end is not None:
                await end(value)
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to those who wait
            self._unlist(flight)
            if not result.done():
                result.set_exception(error)
                result.exception()  # marked as seen: they may all have left
        finally:
            # A leader that died without a word must not leave its waiters waiting.
            self._unlist(flight)
            if not result.done():
                result.cancel()

    async def _await(self, flight: _Flight, *, lasting: bool = False) -> Any:
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.result)
        except asyncio.CancelledError as leaving:
            waiter = asyncio.current_task()
            if flight.result.cancelled() and not (waiter is not None and waiter.cancelling()):
                raise (TimeoutError if flight.late else _LeaderDied) from None
            if flight.waiters == 1 and not lasting:
                self._give_up(flight, leaving.args)
            raise
        finally:
            if not lasting:
                flight.waiters -= 1

    def _give_up(self, flight: _Flight, why: tuple[Any, ...]) -> None:
        # Unlisted first: whoever comes now must not join what is about to end.
        self._unlist(flight)
        if flight.task is not None:
            flight.task.cancel(*why)

    def _unlist(self, flight: _Flight) -> None:
        if flight.timer is not None:
            flight.timer.cancel()
        # Another flight may have taken its place: that one stays.
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def _extend(self, flight: _Flight, until: float | None, *, fresh: bool) -> None:
        """Let the flight last as long as the longest of its waiters."""
        if not fresh and (flight.until is None or (until is not None and until <= flight.until)):
            return
        flight.until = until
        if flight.timer is not None:
            flight.timer.cancel()
            flight.timer = None
        if until is not None:
            flight.timer = asyncio.get_running_loop().call_at(until, self._expire, flight)

    def _expire(self, flight: _Flight) -> None:
        flight.late = True
        self._give_up(flight, ())


def moment(micros: int | None) -> float | None:
    """The moment of the loop at which so many microseconds are over."""
    return None if micros is None else asyncio.get_running_loop().time() + micros / 1_000_000


class _LeaderDied(Exception):
    """The task of the work was cancelled by others than its waiters."""


def _shorter(one: float | None, other: float | None) -> bool:
    return one is not None and (other is None or one < other)
