"""When snapshots are taken, and how an execution is brought back by one.

They are written beside the facts and never waited for; whatever is wrong with one, the
journal is read from its start instead. Must never know: what is in a snapshot.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from stratarouter_runtime.errors import JournalMismatch, StoreError
from stratarouter_runtime.state.liveness import Reads, reads_of
from stratarouter_runtime.state.replay import Replayed, replay, replay_on
from stratarouter_runtime.state.snapshot import Restored, Unusable, restore, snapshot

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ids import Digest, ExecutionId
    from stratarouter_runtime.ports import Clock, Execution, Journal, Snapshots
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.state.ledger import Ledger
    from stratarouter_runtime.state.outstanding import Outstanding
    from stratarouter_runtime.state.run import Run
    from stratarouter_runtime.tcfp.plan import Plan

ANALYSED: Final = 256
"""Plans of which it is remembered what their steps read."""


class Snapshotting(Struct, frozen=True):
    """A snapshot is taken after so many `records`, or after so many `seconds` with a tenth of them.

    Journals shorter than that tenth are read from their start faster than by way of a snapshot.
    """

    records: int = 200
    seconds: float = 30.0

    @property
    def least(self) -> int:
        """New records without which none is taken."""
        return max(1, self.records // 10)


class SnapshotStats(Struct, frozen=True):
    """Snapshots written, not written because the store failed, gone on from, and found unusable."""

    written: int
    failed: int
    used: int
    unusable: int


class Snapshotter:
    """Takes snapshots of what is at work in this process, and brings executions back by them."""

    def __init__(self, kept: Snapshots, clock: Clock, policy: Snapshotting) -> None:
        self._kept = kept
        self._clock = clock
        self._policy = policy
        self._reads: OrderedDict[Digest, Reads] = OrderedDict()
        self._written = self._failed = self._used = self._unusable = 0

    def stats(self) -> SnapshotStats:
        """What was counted so far."""
        return SnapshotStats(self._written, self._failed, self._used, self._unusable)

    def follow(self, row: Execution, run: Run, ledger: Ledger, owed: Outstanding) -> Following:
        """Take snapshots of this execution from here on; `row` is as the store has it, if it has."""
        there = row.records >= self._policy.least  # whoever wrote these may have taken one
        return Following(self, row.id, run, ledger, owed, there=there)

    async def bring_back(self, row: Execution, plans: Plans, journal: Journal) -> Replayed:
        """The run of an execution, by its snapshot and the records behind, or by all of its records.

        Raises `JournalMismatch`, `NotFound` for a plan, `StoreError`.
        """
        plan = await plans.get(row.plan)
        restored = await self._restored(row, plan)
        if restored is not None:
            replayed = _behind(restored, await journal.read(row.id, restored.ledger.seq - 2))
            if replayed is not None:
                self._used += 1
                return replayed
            self._unusable += 1
        records = await journal.read(row.id)
        return replay(plan, records, await plans.named(records))

    async def _restored(self, row: Execution, plan: Plan) -> Restored | None:
        if row.records < self._policy.least:
            return None
        try:
            body = await self._kept.load(row.id)
        except StoreError:
            return None
        if body is None:
            return None
        try:
            return restore(plan, body)
        except Unusable:
            self._unusable += 1
            return None

    def due(self, records: int, since: int) -> bool:
        """Whether it is time, `records` and the time `since` after the last."""
        if records >= self._policy.records:
            return True
        return records >= self._policy.least and self._clock.now() - since >= self._policy.seconds * 1e6

    def now(self) -> int:
        """The time."""
        return self._clock.now()

    def body(self, run: Run, ledger: Ledger, owed: Outstanding) -> bytes:
        """The snapshot of a run."""
        plan = run.plan
        reads = self._reads.get(plan.digest)
        if reads is None:
            reads = self._reads[plan.digest] = reads_of(plan.ops)
            if len(self._reads) > ANALYSED:
                self._reads.popitem(last=False)
        return snapshot(run, ledger, owed, reads)

    async def save(self, execution: ExecutionId, seq: int, body: bytes) -> None:
        """Write a snapshot; that it cannot be written is counted, and no more."""
        try:
            await self._kept.save(execution, seq, body)
            self._written += 1
        except StoreError:
            self._failed += 1

    async def drop(self, execution: ExecutionId) -> None:
        """Forget the snapshot of an execution that has ended."""
        with suppress(StoreError):
            await self._kept.drop(execution)


def _behind(restored: Restored, records: Sequence[Record]) -> Replayed | None:
    """The run behind a snapshot; None where the two do not belong together.

    The first of the records is the last that the snapshot knows: it shows that they do.
    """
    if not records or records[0].link != restored.ledger.link:
        return None
    try:
        return replay_on(restored, records[1:])
    except JournalMismatch:  # the whole journal says whether it is the snapshot that is wrong
        return None


class Following:
    """One execution at work: told when facts of it are durable."""

    def __init__(
        self,
        snapshotter: Snapshotter,
        execution: ExecutionId,
        run: Run,
        ledger: Ledger,
        owed: Outstanding,
        *,
        there: bool,
    ) -> None:
        self._snapshotter = snapshotter
        self._execution = execution
        self._run = run
        self._ledger = ledger
        self._owed = owed
        self._seq = ledger.seq
        self._since = snapshotter.now()
        self._there = there  # a snapshot may be kept
        self._writing: asyncio.Task[None] | None = None

    def durable(self) -> None:
        """All facts so far are durable, and decided on: act if it is time, and nothing is being written."""
        if self._run.finished is not None:
            if self._there:
                self._begin(self._end(self._writing))
        elif self._writing is None and self._snapshotter.due(self._ledger.seq - self._seq, self._since):
            self._seq, self._since = self._ledger.seq, self._snapshotter.now()
            self._there = True
            body = self._snapshotter.body(self._run, self._ledger, self._owed)
            self._begin(self._save(body))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._writing = asyncio.get_running_loop().create_task(work)

    async def _save(self, body: bytes) -> None:
        try:
            await self._snapshotter.save(self._execution, self._seq, body)
        finally:
            self._writing = None

    async def _end(self, writing: asyncio.Task[None] | None) -> None:
        if writing is not None:
            await asyncio.wait([writing])
        await self._snapshotter.drop(self._execution)
