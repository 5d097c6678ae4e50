"""Leases and letters of processes that share a database, by the database's clock.

Must never know: journals, or who drives what.
"""

from __future__ import annotations

from os import getpid
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.sharing import Lease, Leases, Letter, Mail
from stratarouter_runtime.storage.postgres import hosts
from stratarouter_runtime.storage.postgres.sql import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stratarouter_runtime.storage.postgres.pool import Pool

SPAN: Final = 3.0
"""Seconds that a lease holds, where nothing else is said."""

SILENCE: Final = 1.0
"""Seconds without a word after which a process of another host has ended whose sessions have."""


class PostgresLeases(Leases):
    """One row a process; `sessions` are the advisory locks that this one holds while it runs."""

    def __init__(self, pool: Pool, sessions: Sequence[int] = (), span: float = SPAN) -> None:
        self.span = span
        self._pool = pool
        self._sessions = list(sessions)
        self.taken: Callable[[Sequence[ExecutionId]], None] = lambda _: None
        """Told of executions that this process comes to own: what it knew of them may be outdated."""

    @override
    async def enter(self) -> Lease:
        rows = await self._pool.fetch(statement("enter"), self._sessions, self.span, hosts.here(), getpid())
        return Lease(rows[0][0])

    @override
    async def keep(self, lease: Lease) -> bool:
        return bool(await self._pool.fetch(statement("keep"), lease, self.span))

    @override
    async def leave(self, lease: Lease) -> None:
        await self._pool.fetch(statement("leave"), lease)

    @override
    async def expire(self) -> None:
        # Not asked again when the database comes back: by then leases have run out that are alive.
        ended = await self._ended()
        await self._pool.fetch_once(statement("take_expired"), min(SILENCE, self.span), ended)

    async def _ended(self) -> list[int]:
        """The processes of this host that are seen to have ended."""
        if not hosts.here():
            return []
        beside = await self._pool.fetch_once(statement("beside"), hosts.here(), getpid())
        return [process for process, pid in beside if hosts.has_ended(pid)]

    @override
    async def holds(self, lease: Lease) -> bool:
        return bool(await self._pool.fetch(statement("holds"), lease))

    @override
    async def living(self) -> frozenset[Lease]:
        return frozenset(Lease(row[0]) for row in await self._pool.fetch(statement("living")))

    @override
    async def claim(self, lease: Lease, limit: int) -> list[ExecutionId]:
        rows = await self._pool.fetch(statement("claim"), lease, limit)
        claimed = [ExecutionId(row[0]) for row in sorted(rows, key=lambda row: row[1:])]
        self.taken(claimed)
        return claimed

    @override
    async def take(self, lease: Lease, execution: ExecutionId) -> bool:
        self.taken([execution])
        return bool(await self._pool.fetch(statement("take"), lease, execution))

    @override
    async def held(self, lease: Lease) -> list[ExecutionId]:
        return [ExecutionId(row[0]) for row in await self._pool.fetch(statement("held"), lease)]


class PostgresMail(Mail):
    """Letters in a table. One whose posting got no answer may be there twice: the second is refused."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @override
    async def post(self, execution: ExecutionId, body: bytes) -> int:
        return int((await self._pool.fetch(statement("mail_post"), execution, body))[0][0])

    @override
    async def collect(self, lease: Lease) -> list[Letter]:
        rows = await self._pool.fetch(statement("mail_collect"), lease)
        return sorted((Letter(*row) for row in rows), key=lambda letter: letter.number)

    @override
    async def settle(self, letter: int, outcome: bytes) -> None:
        await self._pool.fetch(statement("mail_settle"), letter, outcome)

    @override
    async def outcome(self, letter: int) -> bytes | None:
        rows = await self._pool.fetch(statement("mail_outcome"), letter)
        return rows[0][0] if rows else None

    @override
    async def withdraw(self, letter: int) -> bool:
        await self._pool.fetch(statement("mail_withdraw"), letter)
        return not await self._pool.fetch(statement("mail_there"), letter)

    @override
    async def discard(self, letter: int) -> None:
        await self._pool.fetch(statement("mail_discard"), letter)
