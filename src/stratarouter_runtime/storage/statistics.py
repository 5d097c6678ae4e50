"""What a store's writer counts: how long commits take, and how much shares one.

Must never know: what is written.
"""

from __future__ import annotations

from msgspec import Struct

from stratarouter_runtime.tally import SIZES, Distribution, Histogram


class WriterStats(Struct, frozen=True):
    """Commits so far: seconds from begin to sync, of the sync alone, writes in each; and what waits.

    Where a server syncs, its part is not known, and none is told. `failures` are commits that the
    store failed: a write that is refused is none.
    """

    commit_seconds: Distribution
    sync_seconds: Distribution
    batch: Distribution
    waiting: int
    failures: int


class Commits:
    """Counts commits. One thread counts, any may look."""

    def __init__(self) -> None:
        self._commit = Histogram()
        self._sync = Histogram()
        self._batch = Histogram(SIZES)
        self.failures = 0

    def count(self, writes: int, seconds: float, sync: float | None = None) -> None:
        """One commit of so many writes; `sync` is the part of `seconds` that making it durable took."""
        self._batch.observe(writes)
        self._commit.observe(seconds)
        if sync is not None:
            self._sync.observe(sync)

    def stats(self, waiting: int = 0) -> WriterStats:
        """The figures as they stand."""
        return WriterStats(
            self._commit.snapshot(), self._sync.snapshot(), self._batch.snapshot(), waiting, self.failures
        )
