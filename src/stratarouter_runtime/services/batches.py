"""Many requests submitted at once: kept on the shelf, worked off in order, found again after a restart.

A batch is kept as it was submitted; what became of its items is told by their executions, whose ids
follow from the batch. Must never know: HTTP, SQL, or how an execution runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.batch.queues import Queues, QueueStats
from stratarouter_runtime.errors import Conflict, InvalidState, NotFound, StoreError, StrataError
from stratarouter_runtime.ids import ExecutionId, FlowId, Tenant
from stratarouter_runtime.pauses import growing
from stratarouter_runtime.services.filing import Filing
from stratarouter_runtime.services.items import (
    Batch,
    Job,
    Kept,
    Outcome,
    Progress,
    Refused,
    State,
    Wanted,
    decode,
)
from stratarouter_runtime.tcfp.values import Misfit

if TYPE_CHECKING:
    from stratarouter_runtime.cache.policy import Wishes
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ports import Clock, Execution, Shelf
    from stratarouter_runtime.ports import Kept as Document

REMEMBERED: Final = 256
"""Batches that have ended, at hand in memory."""

FIRST, LONGEST = 0.5, 30.0
"""Seconds until an item is tried again that a limit or the store has refused for now."""

GLANCE: Final = 1_000_000
"""Microseconds after which it is looked up again whether another process has cancelled a batch."""

_LOG: Final = logging.getLogger(__name__)

Execute: TypeAlias = Callable[[Job], Awaitable["tuple[Execution, bool]"]]
"""Executes an item: the execution that its answer comes from, and whether that is another's."""

Equal: TypeAlias = "Callable[[Tenant, Wanted, Wishes], Awaitable[str | None]]"
"""Under what an item shares its execution with others; None where it has one of its own."""


class Holders(Struct, frozen=True):
    """Who works batches off: this process under its lease (`hold`), or another for as long as that one `lives`.

    Both raise `StoreError`.
    """

    hold: Callable[[], Awaitable[int]]
    lives: Callable[[int], Awaitable[bool]]


class Batches:
    """The batches of this process. `close` it when done."""

    def __init__(
        self,
        shelf: Shelf,
        plans: Plans,
        clock: Clock,
        execute: Execute,
        equal: Equal,
        find: Callable[[ExecutionId], Awaitable[Execution | None]],
        cancel: Callable[[ExecutionId], Awaitable[None]],
        holders: Holders,
    ) -> None:
        self._filing = Filing(shelf, clock, find)
        self._plans = plans
        self._clock = clock
        self._execute = execute
        self._equal = equal
        self._cancel = cancel
        self._holders = holders
        self._queues = Queues()
        self._batches: dict[tuple[Tenant, str], Batch] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def stats(self) -> QueueStats:
        """What waits in the queues, and who works it off."""
        return self._queues.stats()

    async def submit(
        self,
        tenant: Tenant,
        id_: str,
        wanted: Sequence[Wanted | Refused],
        *,
        wishes: Wishes,
        limit: int | None = None,
        by: str = "",
    ) -> Progress:
        """Take a batch: when this returns it is durable, and at work. Raises `StoreError`, `LimitExceeded`.

        One that is submitted again under its id is told as it stands; another under it raises `Conflict`.
        `limit` is what each execution may take, in microseconds.
        Items whose input does not fit, or for which their queue has no room, are refused each by itself.
        """
        items: list[Wanted | None] = []
        refused: dict[int, Refused] = {}
        room: dict[str, int] = {}
        for index, each in enumerate(wanted):
            found = each if isinstance(each, Refused) else await self._misfit(each)
            if found is None and isinstance(each, Wanted):
                found = self._full(tenant, each, room)
            items.append(each if found is None and isinstance(each, Wanted) else None)
            if found is not None:
                refused[index] = found
        kept = Kept(tuple(items), refused, self._clock.now(), wishes, limit)
        leads, holder = await self._leaders(tenant, kept), await self._holders.hold()
        batch = Batch(id_, tenant, kept, 0)
        try:
            await self._filing.put(batch, replace(kept, leads=leads, holder=holder), by)
        except Conflict:
            return await self._again(tenant, id_, wanted, kept)
        self._begin(batch)
        return await self._progress(batch)

    async def _again(
        self, tenant: Tenant, id_: str, wanted: Sequence[Wanted | Refused], kept: Kept
    ) -> Progress:
        """A batch whose id is taken: by this very one, sent again, or by another."""
        batch = await self._batch(tenant, id_)
        same = len(wanted) == len(batch.kept.items) and all(
            before is None
            or not isinstance(now, Wanted)
            or (before.flow, before.input) == (now.flow, now.input)
            for before, now in zip(batch.kept.items, wanted, strict=True)
        )
        if not same or (batch.kept.wishes, batch.kept.timeout) != (kept.wishes, kept.timeout):
            raise Conflict(f"the key was used for another batch: {id_}", hint="use a new key for other items")
        return await self._progress(batch)

    async def progress(self, tenant: Tenant, id_: str) -> Progress:
        """A batch as it stands. Raises `NotFound`."""
        return await self._progress(await self._batch(tenant, id_))

    async def wait(self, tenant: Tenant, id_: str) -> Progress:
        """A batch once its items have been worked off, by whichever process. Raises `NotFound`."""
        for pause in growing(FIRST, LONGEST):
            batch = await self._batch(tenant, id_)
            if batch.at_work:
                await batch.done.wait()
            if not batch.moving:
                return await self._progress(batch)
            await asyncio.sleep(pause)
        raise AssertionError("pauses do not end")

    async def cancel(self, tenant: Tenant, id_: str, by: str = "") -> Progress:
        """Begin no more of its items, and cancel those under way that nobody else asked for.

        Where another process works it off, what that one begins within the next second may still be done.
        """
        batch = await self._batch(tenant, id_)
        if batch.kept.ended is not None:
            raise InvalidState(f"batch {id_} has ended")
        under_way = batch.cancel()
        await self._keep_cancelled(batch, by)
        await self._call_off(batch, under_way)
        self._settle(batch)
        return await self._progress(batch)

    async def _call_off(self, batch: Batch, under_way: Sequence[ExecutionId]) -> None:
        """End what is under way; first what still waits for its turn, which would come by that."""
        with suppress(StoreError):
            begun = await self._filing.rows(set(under_way))
            for execution in under_way:
                if execution not in begun and execution in batch.trying:
                    batch.trying[execution].cancel()
        for execution in under_way:
            with suppress(StrataError):  # it came to its end first, or had not begun
                await self._cancel(execution)

    async def _keep_cancelled(self, batch: Batch, by: str) -> None:
        while True:
            try:
                return await self._filing.put(batch, replace(batch.kept, cancelled=True), by)
            except Conflict:  # another process has taken it over, or worked it off
                await self._filing.reread(batch)
                if batch.kept.ended is not None:
                    raise InvalidState(f"batch {batch.id} has ended") from None

    async def resume(self) -> int:
        """Go on with the batches that have not ended, and that no living process works off; how many.

        Raises `StoreError`.
        """
        return sum([await self._take_over(document) async for document in self._filing.all()])

    async def _take_over(self, document: Document) -> bool:
        kept = decode(document.body)
        if kept.ended is not None or kept.cancelled or (document.tenant, document.name) in self._batches:
            return False
        own = await self._holders.hold()
        if kept.holder != own and await self._holders.lives(kept.holder):
            return False
        batch = Batch(document.name, document.tenant, kept, document.version)
        try:
            await self._filing.put(batch, replace(kept, holder=own))
        except Conflict:  # another process was first
            return False
        self._begin(batch)
        return True

    async def close(self) -> None:
        """Stop; what has not ended goes on after the next start."""
        await self._queues.close()
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)

    # Taking a batch.

    async def _misfit(self, item: Wanted) -> Refused | None:
        plan = await self._plans.get(item.plan)
        try:
            plan.input.project(item.input)
        except Misfit as misfit:
            return Refused("invalid-input", f"the input does not fit {item.flow}: {misfit}", misfit.pointer)
        return None

    def _full(self, tenant: Tenant, item: Wanted, room: dict[str, int]) -> Refused | None:
        name = _queue(tenant, item.flow)
        left = room.setdefault(name, self._queues.room(name))
        if not left:
            return _no_room(item.flow)
        room[name] = left - 1
        return None

    async def _leaders(self, tenant: Tenant, kept: Kept) -> tuple[int, ...]:
        """For each item the first that is equal to it, where answers may be shared as anywhere else."""
        first: dict[str, int] = {}
        leads = []
        for index, item in enumerate(kept.items):
            key = None if item is None else await self._equal(tenant, item, kept.wishes)
            leads.append(index if key is None else first.setdefault(key, index))
        return tuple(leads)

    def _begin(self, batch: Batch) -> None:
        batch.begin()
        batch.at_work = True
        batch.looked = self._clock.now()
        self._batches[batch.tenant, batch.id] = batch
        for index, item in enumerate(batch.kept.items):
            if item is not None and batch.leader(index) == index:
                self._enqueue(batch, index, item)
        self._settle(batch)

    def _enqueue(self, batch: Batch, index: int, item: Wanted) -> None:
        async def work() -> None:
            await self._work(batch, index, item)

        self._queues.put(_queue(batch.tenant, item.flow), work)

    # Working one off.

    async def _work(self, batch: Batch, index: int, item: Wanted) -> None:
        """One item to its end; whatever the store does, the others of its queue go on."""
        await self._look(batch)
        if batch.outcomes[index].state != "cancelled":
            job = Job(batch.execution(index), batch.tenant, item, batch.kept.wishes, batch.kept.timeout)
            batch.tell(index, Outcome("running", job.id))
            batch.tell(index, await self._tried(batch, job))
        self._settle(batch)

    async def _tried(self, batch: Batch, job: Job) -> Outcome:
        """What comes of an item; `cancelled` where that was called off before it had begun."""
        task = asyncio.get_running_loop().create_task(self._executed(batch, job), name="batch-item")
        batch.trying[job.id] = task
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()  # where whoever waits for it is interrupted
            del batch.trying[job.id]
        return Outcome("cancelled") if task.cancelled() else task.result()

    async def _executed(self, batch: Batch, job: Job) -> Outcome:
        for pause in growing(FIRST, LONGEST):
            try:
                row, shared = await self._execute(job)
            except InvalidState:  # nothing is begun while this process stops: the next goes on with it
                return Outcome("queued")
            except Exception as error:  # noqa: BLE001 - a defect with one item must not end the work on all
                if not isinstance(error, StrataError):
                    _LOG.exception("an item of batch %s broke", batch.id)
                    return Outcome("failed", refused=Refused(StrataError.code, "the item broke the runtime"))
                if error.retryable and not batch.kept.cancelled:
                    await asyncio.sleep(pause)
                    continue
                state: State = "cancelled" if batch.kept.cancelled else "failed"
                return Outcome(state, None, None, Refused(error.code, error.message))
            return Outcome(row.status, row.id, row, shared=shared)
        raise AssertionError("pauses do not end")

    async def _look(self, batch: Batch) -> None:
        """Learn whether another process has cancelled it."""
        now = self._clock.now()
        if batch.kept.cancelled or abs(now - batch.looked) < GLANCE:
            return
        batch.looked = now
        with suppress(StoreError, NotFound):  # who cannot be asked has cancelled nothing yet
            await self._filing.reread(batch)
        if batch.kept.cancelled:
            await self._call_off(batch, batch.cancel())

    def _settle(self, batch: Batch) -> None:
        """Once every item stands still, keep where their answers are."""
        if batch.moving or not batch.at_work or batch.done.is_set():
            return
        task = asyncio.get_running_loop().create_task(self._end(batch), name="batch-end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, batch: Batch) -> None:
        try:
            if all(each.over for each in batch.outcomes):  # else it goes on after the next start too
                await self._keep_end(batch)
        except StrataError as error:  # after the next start its executions tell the same
            _LOG.warning("the end of batch %s is not kept: %s", batch.id, error.message)
        finally:
            batch.at_work = False
            batch.done.set()
            self._forget()

    async def _keep_end(self, batch: Batch) -> None:
        """Keep where the answers are, however long the store is away, and whoever else has written."""
        ended, again = tuple(each.execution or "" for each in batch.outcomes), False
        for pause in growing(FIRST, LONGEST):
            try:
                if again:
                    await self._filing.reread(batch)
                if batch.kept.ended is None:
                    await self._filing.put(batch, replace(batch.kept, ended=ended))
            except Conflict:  # it was cancelled, or taken over
                again = True
            except StoreError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(pause)
            else:
                return

    # Looking.

    async def _batch(self, tenant: Tenant, id_: str) -> Batch:
        """As it is at work here, or was; else as its executions tell it, remembered where it has ended."""
        batch = self._batches.get((tenant, id_))
        if batch is None:
            batch = await self._filing.told(tenant, id_)
            if batch.kept.ended is not None:
                self._batches[tenant, id_] = batch
                self._forget()
        return batch

    def _forget(self) -> None:
        over = [place for place, each in self._batches.items() if each.kept.ended is not None]
        for place in over[:-REMEMBERED]:
            del self._batches[place]

    async def _progress(self, batch: Batch) -> Progress:
        outcomes = [await self._filing.now(each) for each in batch.outcomes]
        return Progress(batch.id, batch.kept.created, batch.kept.cancelled, tuple(outcomes))


def _no_room(flow: FlowId) -> Refused:
    return Refused("queue-full", f"the queue of '{flow}' has no room for it now")


def _queue(tenant: Tenant, flow: FlowId) -> str:
    return f"{tenant}\0{flow}"
