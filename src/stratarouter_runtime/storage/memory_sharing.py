"""Leases and letters of the reference store, for processes that are played in one.

Must never know: how other back-ends do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from stratarouter_runtime.errors import LeaseLost
from stratarouter_runtime.sharing import NOBODY, Lease, Leases, Letter, Mail
from stratarouter_runtime.storage.rules import DRIVEN, UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Journal

    Owners = dict[ExecutionId, Lease]


class MemoryLeases(Leases):
    """Leases by the clock `now`, in seconds."""

    def __init__(
        self, journal: Journal, owners: Owners, span: float | None, now: Callable[[], float]
    ) -> None:
        self.span = span
        self._journal = journal
        self._owners = owners
        self._now = now
        self._ends: dict[Lease, float] = {}
        self._last = 0

    def check(self, lease: Lease) -> None:
        """Raise `LeaseLost` for a lease that was taken. One that has only run out still holds."""
        if lease != NOBODY and lease not in self._ends:
            raise LeaseLost

    def notice_end(self, lease: Lease) -> None:
        """The process of this lease is known to have ended."""
        if lease in self._ends:
            self._ends[lease] = self._now()

    @override
    async def enter(self) -> Lease:
        if self.span is None:
            self._ends.clear()
        self._last += 1
        self._ends[Lease(self._last)] = self._end()
        return Lease(self._last)

    @override
    async def keep(self, lease: Lease) -> bool:
        if lease not in self._ends:
            return False
        self._ends[lease] = self._end()
        return True

    @override
    async def leave(self, lease: Lease) -> None:
        self._ends.pop(lease, None)

    @override
    async def holds(self, lease: Lease) -> bool:
        return lease in self._ends

    @override
    async def living(self) -> frozenset[Lease]:
        return frozenset(self._ends)

    @override
    async def claim(self, lease: Lease, limit: int) -> list[ExecutionId]:
        if lease not in self._ends:
            return []
        orphans = [
            row.id
            for row in await self._journal.unfinished()
            if row.status in DRIVEN and self._owners[row.id] not in self._ends
        ]
        for execution in orphans[:limit]:
            self._owners[execution] = lease
        return orphans[:limit]

    @override
    async def take(self, lease: Lease, execution: ExecutionId) -> bool:
        row = await self._journal.find(execution)
        if row is None or row.status not in UNFINISHED or lease not in self._ends:
            return False
        if self._owners[execution] not in self._ends:
            self._owners[execution] = lease
        return self._owners[execution] == lease

    @override
    async def held(self, lease: Lease) -> list[ExecutionId]:
        rows = await self._journal.unfinished()
        return [row.id for row in rows if row.status in DRIVEN and self._owners[row.id] == lease]

    def _end(self) -> float:
        return float("inf") if self.span is None else self._now() + self.span

    @override
    async def expire(self) -> None:
        now = self._now()
        for lease in [lease for lease, end in self._ends.items() if end <= now]:
            del self._ends[lease]


class MemoryMail(Mail):
    """Letters in a dictionary."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._letters: dict[int, tuple[ExecutionId, bytes]] = {}
        self._seen: dict[int, Lease] = {}
        self._outcomes: dict[int, bytes] = {}
        self._last = 0

    @override
    async def post(self, execution: ExecutionId, body: bytes) -> int:
        self._last += 1
        self._letters[self._last] = execution, body
        return self._last

    @override
    async def collect(self, lease: Lease) -> list[Letter]:
        new = []
        for number, (execution, body) in self._letters.items():
            mine = self._owners.get(execution) == lease and self._seen.get(number) != lease
            if mine and number not in self._outcomes:
                new.append(Letter(number, execution, body, number in self._seen))
                self._seen[number] = lease
        return new

    @override
    async def settle(self, letter: int, outcome: bytes) -> None:
        if letter in self._letters:
            self._outcomes.setdefault(letter, outcome)

    @override
    async def outcome(self, letter: int) -> bytes | None:
        return self._outcomes.get(letter)

    @override
    async def withdraw(self, letter: int) -> bool:
        if letter in self._seen:
            return False
        await self.discard(letter)
        return True

    def drop(self, execution: ExecutionId) -> None:
        """Take away all letters about an execution."""
        for letter in [number for number, (about, _) in self._letters.items() if about == execution]:
            self._discard(letter)

    @override
    async def discard(self, letter: int) -> None:
        self._discard(letter)

    def _discard(self, letter: int) -> None:
        for kept in (self._letters, self._seen, self._outcomes):
            kept.pop(letter, None)
