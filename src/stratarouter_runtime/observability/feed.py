"""Who wants to hear when an execution has new facts.

Watchers are only woken; the facts themselves they read from the journal, so a slow one
misses nothing and holds nothing up. Must never know: what watchers do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Execution, Observer
from stratarouter_runtime.state.events import Record


class FeedStats(Struct, frozen=True):
    """Who wants to hear."""

    watchers: int


class Feed(Observer):
    """Wakes the watchers of an execution. Belongs to one event loop."""

    def __init__(self) -> None:
        self._watchers: dict[ExecutionId, set[asyncio.Event]] = {}

    def stats(self) -> FeedStats:
        """How many watch now."""
        return FeedStats(sum(map(len, self._watchers.values())))

    @contextmanager
    def watching(self, execution: ExecutionId) -> Iterator[asyncio.Event]:
        """An event that is set whenever facts of this execution have become durable."""
        changed = asyncio.Event()
        watchers = self._watchers.setdefault(execution, set())
        watchers.add(changed)
        try:
            yield changed
        finally:
            watchers.discard(changed)
            if not watchers:
                self._watchers.pop(execution, None)

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        for changed in self._watchers.get(execution.id, ()):
            changed.set()
