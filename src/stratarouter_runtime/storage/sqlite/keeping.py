"""Looking after the SQLite store: long looks on connections of their own, small writes among all others.

Must never know: threads, or what may go.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from typing_extensions import override

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Keeping, Orphans, Past, Size
from stratarouter_runtime.storage.sqlite.connection import open_reader
from stratarouter_runtime.storage.sqlite.faults import speaking_of
from stratarouter_runtime.storage.sqlite.sql import statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stratarouter_runtime.storage.sqlite.transaction import Transaction
    from stratarouter_runtime.storage.sqlite.writes import Submit, Write

Rows = list[tuple[Any, ...]]

BLOBS: Final = 4
"""Blobs freed in one transaction: each may be as long as thousands of rows."""


class SqliteKeeping(Keeping):
    """The tables of one file."""

    def __init__(self, path: Path, submit: Submit) -> None:
        self._path = path
        self._submit = submit
        self._alone = asyncio.Lock()

    @override
    async def size(self) -> Size:
        return Size(*(await self._ask("size"))[0])

    @override
    async def past(self, behind: Past | None, before: int, limit: int) -> list[Past]:
        created, place = (-(2**63), 0) if behind is None else (behind.created, behind.place)
        wanted = {"created": created, "place": place, "before": before, "limit": limit}
        return [Past(*row) for row in await self._ask("past", wanted)]

    @override
    async def beginnings(self) -> dict[ExecutionId, bytes]:
        return dict(await self._ask("beginnings"))

    @override
    def alone(self) -> asyncio.Lock:
        return self._alone

    @override
    async def remove(self, executions: Sequence[ExecutionId]) -> int:
        return await self._submit(_remove(executions), 2 * len(executions))

    @override
    async def sweep(self, limit: int) -> bool:
        return await self._submit(_sweep(limit), limit)

    @override
    async def orphans(self) -> Orphans:
        return Orphans(*(await self._ask("orphans"))[0])

    @override
    async def blobs(self, behind: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        rows = await self._ask("blobs", {"behind": behind, "limit": limit})
        return [(digest, body) for digest, body in rows]

    async def _ask(self, name: str, values: dict[str, Any] | None = None) -> Rows:
        return await asyncio.to_thread(self._rows, statement(name), values or {})

    def _rows(self, query: str, values: dict[str, Any]) -> Rows:
        """In a thread, on a connection of its own: other readers do not wait for what may take seconds."""
        connection = open_reader(self._path)
        try:
            with speaking_of(self._path):
                return connection.execute(query, values).fetchall()
        finally:
            connection.close(True)


def _remove(executions: Sequence[ExecutionId]) -> Write[int]:
    wanted = {"ids": msgspec.json.encode(executions).decode()}

    def write(transaction: Transaction) -> int:
        connection = transaction.connection
        rows: Rows = connection.execute(statement("remove"), wanted).fetchall()
        transaction.forget(name for _, name in rows)
        connection.executemany(statement("note_removed"), [(place,) for place, _ in rows])
        gone = {"ids": msgspec.json.encode([name for _, name in rows]).decode()}
        connection.execute(statement("remove_snapshots"), gone)
        connection.execute(statement("remove_mail"), gone)
        return len(rows)

    return write


def _sweep(limit: int) -> Write[bool]:
    def write(transaction: Transaction) -> bool:
        connection = transaction.connection
        connection.execute(statement("sweep_records"), {"limit": limit})
        unused = connection.execute(statement("sweep_uses"), {"limit": BLOBS}).fetchall()
        connection.executemany(statement("sweep_blobs"), unused)
        connection.execute(statement("sweep_removed"), {"limit": limit})
        return bool(connection.execute(statement("removed")).get)

    return write
