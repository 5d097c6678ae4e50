"""The reference for looking after a store: all that is kept lies in dictionaries, bodies with their rows.

Must never know: how other back-ends do it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from typing_extensions import override

from stratarouter_runtime.ports import Keeping, Orphans, Past, Size
from stratarouter_runtime.storage.rules import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Execution, Snapshots
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.storage.memory_sharing import MemoryMail


class MemoryKeeping(Keeping):
    """The dictionaries of the store. `check_open` raises once it is closed."""

    def __init__(
        self,
        executions: dict[ExecutionId, Execution],
        records: dict[ExecutionId, list[Record]],
        owners: dict[ExecutionId, Lease],
        snapshots: Snapshots,
        mail: MemoryMail,
        check_open: Callable[[], None],
    ) -> None:
        self._executions = executions
        self._records = records
        self._owners = owners
        self._snapshots = snapshots
        self._mail = mail
        self._check_open = check_open
        self._alone = asyncio.Lock()

    @override
    async def size(self) -> Size:
        self._check_open()
        unfinished = sum(row.status in UNFINISHED for row in self._executions.values())
        records = sum(map(len, self._records.values()))
        size = sum(map(self._bytes, self._records))
        return Size(len(self._executions), unfinished, records, size, 0, 0, 0, 0, 0, 0)

    @override
    async def past(self, behind: Past | None, before: int, limit: int) -> list[Past]:
        self._check_open()
        rows = sorted(enumerate(self._executions.values()), key=lambda each: (each[1].created, each[0]))
        start = (-1, -1) if behind is None else (behind.created, behind.place)
        found = [
            self._past(place, row)
            for place, row in rows
            if (row.created, place) > start and row.created < before and row.status not in UNFINISHED
        ]
        return found[:limit]

    def _past(self, place: int, row: Execution) -> Past:
        records = self._records[row.id]
        first = records[0].body if records else None
        return Past(row.id, row.created, row.updated, place, self._bytes(row.id), first)

    def _bytes(self, execution: ExecutionId) -> int:
        return sum(len(record.body) for record in self._records[execution])

    @override
    async def beginnings(self) -> dict[ExecutionId, bytes]:
        self._check_open()
        return {
            row.id: self._records[row.id][0].body
            for row in self._executions.values()
            if row.status in UNFINISHED and self._records[row.id]
        }

    @override
    def alone(self) -> asyncio.Lock:
        return self._alone

    @override
    async def remove(self, executions: Sequence[ExecutionId]) -> int:
        self._check_open()
        gone = [each for each in executions if each in self._executions]
        gone = [each for each in gone if self._executions[each].status not in UNFINISHED]
        for each in gone:
            del self._executions[each], self._records[each]
            self._owners.pop(each, None)
            await self._snapshots.drop(each)
            self._mail.drop(each)
        return len(gone)

    @override
    async def sweep(self, limit: int) -> bool:
        self._check_open()
        return False

    @override
    async def orphans(self) -> Orphans:
        self._check_open()
        return Orphans()

    @override
    async def blobs(self, behind: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        self._check_open()
        return []
