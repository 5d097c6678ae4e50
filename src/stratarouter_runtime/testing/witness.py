"""The store that all simulated processes share, which notes who writes what.

Must never know: what is written, or why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from typing_extensions import override

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.sharing import NOBODY, Lease
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage.memory import MemoryStore

_INTERRUPTED: Final = b'{"t":"interrupted"'


class WitnessStore(MemoryStore):
    """`trespasses` are the writes that were let through, and were not their writer's to make.

    `interruptions` has when a call was found interrupted, by execution and number of the record.
    """

    def __init__(self, span: float | None, now: Callable[[], float]) -> None:
        super().__init__(span, now)
        self._moment = now
        self.writers: dict[ExecutionId, list[Lease]] = {}
        self.trespasses: list[str] = []
        self.interruptions: dict[tuple[ExecutionId, int], float] = {}

    @override
    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        created = await super().create(execution, records, lease)
        if created:
            self._note(execution.id, lease)
        return created

    @override
    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        owner = self.owners.get(execution)
        await super().append(execution, records, status, lease)
        if lease != owner:
            self.trespasses.append(f"{execution} belongs to {owner}, and {lease} wrote to it")
        self._note(execution, lease)
        if status is not None and status.status == "paused":  # from here on whoever resumes it may drive it
            del self.writers[execution]

    def _note(self, execution: ExecutionId, lease: Lease) -> None:
        writers = self.writers.setdefault(execution, [])
        if writers and writers[-1] == lease:
            return
        if lease in writers or lease == NOBODY:
            self.trespasses.append(f"{lease} wrote to {execution} after {writers}")
        writers.append(lease)
