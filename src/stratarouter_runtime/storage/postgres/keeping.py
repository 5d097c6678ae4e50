"""Looking after the PostgreSQL store: long looks beside all others, small transactions.

Must never know: sessions, or what may go.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from stratarouter_runtime.ports import Keeping, Orphans, Past, Size
from stratarouter_runtime.storage.postgres.blobs import drop_unused
from stratarouter_runtime.storage.postgres.connection import LOCKS
from stratarouter_runtime.storage.postgres.sql import statement
from stratarouter_runtime.storage.postgres.text import to_server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    import asyncpg

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.storage.postgres.pool import Pool

BLOBS: Final = 16
"""Blobs freed in one transaction."""

ALONE: Final = LOCKS | 0xFFFF_FFFE
"""Beside the lock of migrations, beyond those of the lanes."""

EARLIEST: Final = -(2**63)


class PostgresKeeping(Keeping):
    """The tables of one database. `check_writing` raises where the store may not be written."""

    def __init__(self, pool: Pool, check_writing: Callable[[], object]) -> None:
        self._pool = pool
        self._check_writing = check_writing

    @override
    async def size(self) -> Size:
        return Size(*(await self._pool.fetch(statement("size")))[0])

    @override
    async def past(self, behind: Past | None, before: int, limit: int) -> list[Past]:
        created, place = (EARLIEST, 0) if behind is None else (behind.created, behind.place)
        rows = await self._pool.fetch(statement("past"), created, place, before, limit)
        return [Past(*row) for row in rows]

    @override
    async def beginnings(self) -> dict[ExecutionId, bytes]:
        return dict(await self._pool.fetch(statement("beginnings")))

    @override
    def alone(self) -> AbstractAsyncContextManager[None]:
        return self._pool.lock(ALONE)

    @override
    async def remove(self, executions: Sequence[ExecutionId]) -> int:
        self._check_writing()
        return await self._pool.transact(partial(_remove, list(executions)))

    @override
    async def sweep(self, limit: int) -> bool:
        self._check_writing()
        return await self._pool.transact(partial(_sweep, limit))

    @override
    async def orphans(self) -> Orphans:
        return Orphans(*(await self._pool.fetch(statement("orphans")))[0])

    @override
    async def blobs(self, behind: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        rows = await self._pool.fetch(statement("blobs"), behind, limit)
        return [(digest, body) for digest, body in rows]


async def _remove(executions: list[ExecutionId], connection: asyncpg.Connection) -> int:
    """Nobody changes what has ended, so nobody is waited for but another process that removes the same."""
    names = to_server(sorted(executions))
    gone = [row[0] for row in await connection.fetch(statement("remove"), names)]
    if gone:
        await connection.execute(statement("remove_snapshots"), gone)
        await connection.execute(statement("remove_mail"), gone)
    return len(gone)


async def _sweep(limit: int, connection: asyncpg.Connection) -> bool:
    # A table that empties again and again is planned for as it never is.
    await connection.execute(statement("by_index"))
    await connection.execute(statement("sweep_records"), limit)
    unused = {row[0] for row in await connection.fetch(statement("sweep_uses"), BLOBS)}
    await drop_unused(connection, unused)
    await connection.execute(statement("sweep_removed"), limit)
    return bool(await connection.fetchval(statement("removed")))
