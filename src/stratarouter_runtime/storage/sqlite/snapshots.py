"""Snapshots in the SQLite store: one row an execution, written with whatever else is committed.

Must never know: what is in a snapshot, or when one is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from stratarouter_runtime.ports import Snapshots
from stratarouter_runtime.storage.sqlite.sql import statement
from stratarouter_runtime.storage.sqlite.writes import run

if TYPE_CHECKING:
    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.storage.sqlite.reader import Reader
    from stratarouter_runtime.storage.sqlite.writes import Submit


class SqliteSnapshots(Snapshots):
    """Rows of the table `snapshots`."""

    def __init__(self, reader: Reader, submit: Submit) -> None:
        self._reader = reader
        self._submit = submit

    @override
    async def save(self, execution: ExecutionId, seq: int, body: bytes) -> None:
        await self._submit(run("snapshot_save", {"execution": execution, "seq": seq, "body": body}))

    @override
    async def load(self, execution: ExecutionId) -> bytes | None:
        rows = await self._reader.fetch(statement("snapshot_load"), {"execution": execution})
        return rows[0][0] if rows else None

    @override
    async def drop(self, execution: ExecutionId) -> None:
        await self._submit(run("snapshot_drop", {"execution": execution}))
