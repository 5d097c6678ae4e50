"""A store that fails when told to, around any other.

Must never know: what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from stratarouter_runtime.errors import StoreError
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.sharing import NOBODY, Lease
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage.memory import MemoryStore


class FailingStore(MemoryStore):
    """Fails writes from number `after` on (the first is 0) with `error`, until `mend` is called.

    With `late`, the write is kept and the failure reported all the same: an answer that got
    lost on its way.
    """

    def __init__(self, after: int, error: StoreError, *, late: bool = False) -> None:
        super().__init__()
        self._left: int | None = after
        self._error = error
        self._late = late
        self.writes = 0

    def mend(self) -> None:
        """Never fail again."""
        self._left = None

    @override
    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        if self._fails() and not self._late:
            raise self._error
        created = await super().create(execution, records, lease)
        self._report()
        return created

    @override
    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        if self._fails() and not self._late:
            raise self._error
        await super().append(execution, records, status, lease)
        self._report()

    def _fails(self) -> bool:
        return self._left is not None and self.writes >= self._left

    def _report(self) -> None:
        failing = self._fails()
        self.writes += 1
        if failing:
            raise self._error
