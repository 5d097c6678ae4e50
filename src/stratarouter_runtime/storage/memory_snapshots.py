"""The reference for snapshots: the newest of each execution that has not finished.

Must never know: how other back-ends do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from stratarouter_runtime.ports import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratarouter_runtime.ids import ExecutionId


class MemorySnapshots(Snapshots):
    """Bodies in a dictionary. `check_open` raises once the store is closed, `unfinished` tells of what."""

    def __init__(self, check_open: Callable[[], None], unfinished: Callable[[ExecutionId], bool]) -> None:
        self._check_open = check_open
        self._unfinished = unfinished
        self._kept: dict[ExecutionId, tuple[int, bytes]] = {}

    @override
    async def save(self, execution: ExecutionId, seq: int, body: bytes) -> None:
        self._check_open()
        before, _ = self._kept.get(execution, (-1, b""))
        if seq > before and self._unfinished(execution):
            self._kept[execution] = seq, body

    @override
    async def load(self, execution: ExecutionId) -> bytes | None:
        self._check_open()
        found = self._kept.get(execution)
        return None if found is None else found[1]

    @override
    async def drop(self, execution: ExecutionId) -> None:
        self._check_open()
        self._kept.pop(execution, None)
