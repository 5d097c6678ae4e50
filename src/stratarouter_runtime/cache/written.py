"""Entries on their way to the store: gathered while a write is under way, then written together.

Nobody waits for them, so they may be lost in a crash, and are counted where the store refuses.
Must never know: what is kept.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stratarouter_runtime.ports import CacheEntry, CacheStore

WAITING: Final = 10_000
"""Entries that may wait; further ones are lost, and counted."""

BATCH: Final = 500

PRUNED: Final = 5_000
"""Entries written between two looks for what has expired; the first look is at the first write."""


class Written:
    """Writes behind. `lost` is told what the store would not take; `prune` makes room there now and then."""

    def __init__(
        self,
        store: CacheStore,
        lost: Callable[[list[CacheEntry]], None],
        prune: Callable[[], Awaitable[int]],
    ) -> None:
        self._store = store
        self._lost = lost
        self._prune = prune
        self._unpruned = PRUNED
        self._waiting: list[CacheEntry] = []
        self._task: asyncio.Task[None] | None = None

    def put(self, entry: CacheEntry) -> None:
        """Have an entry written soon."""
        if len(self._waiting) >= WAITING:
            self._lost([entry])
            return
        self._waiting.append(entry)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write(), name="cache-writer")

    async def flush(self) -> None:
        """Returns once all that waits is in the store, or lost."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            # Of entries with one key the last counts, and a statement may meet each row once.
            latest = {(entry.tenant, entry.key): entry for entry in batch}
            try:
                await self._store.keep(list(latest.values()))
                self._unpruned += len(batch)
                if self._unpruned >= PRUNED:
                    self._unpruned = 0
                    await self._prune()
            except StoreError:
                self._lost(batch)
