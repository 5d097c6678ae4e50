"""Snapshots in the PostgreSQL store: one row an execution, written beside the lanes of the journals.

Must never know: what is in a snapshot, or when one is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from stratarouter_runtime.ports import Snapshots
from stratarouter_runtime.storage.postgres.sql import statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.storage.postgres.pool import Pool


class PostgresSnapshots(Snapshots):
    """Rows of the table `snapshots`. `check_writing` raises where the store may not be written."""

    def __init__(self, pool: Pool, check_writing: Callable[[], object]) -> None:
        self._pool = pool
        self._check_writing = check_writing

    @override
    async def save(self, execution: ExecutionId, seq: int, body: bytes) -> None:
        self._check_writing()
        await self._pool.fetch(statement("snapshot_save"), execution, seq, body)

    @override
    async def load(self, execution: ExecutionId) -> bytes | None:
        rows = await self._pool.fetch(statement("snapshot_load"), execution)
        return rows[0][0] if rows else None

    @override
    async def drop(self, execution: ExecutionId) -> None:
        self._check_writing()
        await self._pool.fetch(statement("snapshot_drop"), execution)
