"""Many requests submitted at once: kept on the shelf, worked off in order, found again after a restart.

A batch is kept as it was submitted; what became of its items is told by their executions, whose ids
follow from the batch. Must never know: HTTP, SQL, or how an execution runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from stratarouter_runtime.batch.queues import Queues, QueueStats
from stratarouter_runtime.cache.policy import Wishes
from stratarouter_runtime.canonical import digest
from stratarouter_runtime.errors import Conflict, InvalidState, NotFound, StrataError
from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant, derived_execution_id
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.tcfp.values import Misfit, canonical_value

if TYPE_CHECKING:
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ports import Clock, Execution, Shelf
    from stratarouter_runtime.tcfp.plan import Plan

KIND: Final = "batch"

KEPT: Final = 10_000
"""Batches of a tenant at most."""

REMEMBERED: Final = 256
"""Batches that have ended, at hand in memory."""
FIRST, LONGEST = 0.5, 30.0
"""Seconds until an item is tried again that a limit or the store has refused for now."""

State: TypeAlias = Literal[
    "queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out", "refused"
]


class Wanted(Struct, frozen=True):
    """An item: which flow, as which plan, on what."""

    flow: FlowId
    plan: Digest
    input: Any


class Refused(Struct, frozen=True):
    """An item that was not taken, and why."""

    code: str
    message: str
    pointer: str = ""


class Kept(Struct, frozen=True, omit_defaults=True):
    """A batch as it is kept. `items` holds what was submitted, in order, refusals among it.

    `ended` has the execution that each answer comes from, once there is nothing more to do.
    """

    items: tuple[Wanted | None, ...]
    refused: dict[int, Refused]
    created: int
    wishes: Wishes = Wishes()
    timeout: int | None = None
    cancelled: bool = False
    ended: tuple[str, ...] | None = None


class Job(Struct, frozen=True):
    """One item to be executed under this id."""

    id: ExecutionId
    tenant: Tenant
    item: Wanted
    wishes: Wishes
    timeout: int | None


class Outcome(Struct, frozen=True):
    """What became of an item so far. `shared` where another item, or an earlier answer, answered it."""

    state: State
    execution: ExecutionId | None = None
    row: Execution | None = None
    refused: Refused | None = None
    shared: bool = False


class Progress(Struct, frozen=True):
    """A batch as it stands: what became of its items, in the order in which they were submitted."""

    id: str
    created: int
    cancelled: bool
    outcomes: tuple[Outcome, ...]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return all(each.state in ENDED or each.state == "refused" for each in self.outcomes)


Execute: TypeAlias = Callable[[Job], Awaitable["tuple[Execution, bool]"]]
"""Executes an item: the execution that its answer comes from, and whether that is another's."""


@dataclass(slots=True, eq=False)
class _Batch:
    """A batch at work. `leads` says which item works out the answer of each: its own, or an equal one."""

    id: str
    tenant: Tenant
    kept: Kept
    leads: tuple[int, ...]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Batches:
    """The batches of this process. `close` it when done."""

    def __init__(
        self,
        shelf: Shelf,
        plans: Plans,
        clock: Clock,
        execute: Execute,
        find: Callable[[ExecutionId], Awaitable[Execution | None]],
        cancel: Callable[[ExecutionId], Awaitable[None]],
    ) -> None:
        self._shelf = shelf
        self._plans = plans
        self._clock = clock
        self._execute = execute
        self._find = find
        self._cancel = cancel
        self._queues = Queues()
        self._batches: dict[tuple[Tenant, str], _Batch] = {}

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
        try:
            await self._put(tenant, id_, kept, by=by, expected=0)
        except Conflict:
            return await self._again(tenant, id_, wanted, kept)
        batch = await self._begin(tenant, id_, kept)
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
        """A batch once its items have been worked off. Raises `NotFound`."""
        batch = await self._batch(tenant, id_)
        await batch.done.wait()
        return await self._progress(batch)

    async def cancel(self, tenant: Tenant, id_: str, by: str = "") -> Progress:
        """Begin no more of its items, and cancel those under way that nobody else asked for."""
        batch = await self._batch(tenant, id_)
        if batch.kept.ended is not None:
            raise InvalidState(f"batch {id_} has ended")
        batch.kept = msgspec.structs.replace(batch.kept, cancelled=True)
        for index, outcome in batch.outcomes.items():
            if outcome.state == "queued":
                batch.outcomes[index] = Outcome("cancelled")
        await self._put(tenant, id_, batch.kept, by=by)
        for outcome in [*batch.outcomes.values()]:
            if outcome.state == "running" and outcome.execution is not None:
                with suppress(StrataError):  # it came to its end first, or had not begun
                    await self._cancel(outcome.execution)
        await self._settle(batch)
        return await self._progress(batch)

    async def resume(self) -> int:
        """Go on with the batches that had not ended when the process did; how many."""
        after, resumed = "", 0
        while page := await self._shelf.all(None, KIND, after):
            for document in page:
                kept = _decode(document.body)
                if kept.ended is None and not kept.cancelled:
                    await self._begin(document.tenant, document.name, kept)
                    resumed += 1
            after = f"{page[-1].tenant}\0{page[-1].name}"
        return resumed

    async def close(self) -> None:
        """Stop; what has not ended goes on after the next start."""
        await self._queues.close()

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
            return Refused("queue-full", f"the queue of '{item.flow}' has no room for it now")
        room[name] = left - 1
        return None

    async def _begin(self, tenant: Tenant, id_: str, kept: Kept) -> _Batch:
        batch = _Batch(id_, tenant, kept, await self._leaders(kept))
        self._batches[tenant, id_] = batch
        for index, item in enumerate(kept.items):
            if item is None:
                batch.outcomes[index] = Outcome("refused", refused=kept.refused[index])
                continue
            batch.outcomes[index] = Outcome("queued")
            if batch.leads[index] == index:
                self._enqueue(batch, index, item)
        await self._settle(batch)
        return batch

    def _enqueue(self, batch: _Batch, index: int, item: Wanted) -> None:
        async def work() -> None:
            await self._work(batch, index, item)

        if not self._queues.put(_queue(batch.tenant, item.flow), work):
            refused = Refused("queue-full", f"the queue of '{item.flow}' has no room for it now")
            self._tell(batch, index, Outcome("refused", refused=refused))

    async def _leaders(self, kept: Kept) -> tuple[int, ...]:
        """For each item the first that is equal to it: only pure work, and only where reuse is wanted."""
        first: dict[tuple[str, str, str], int] = {}
        leads = []
        for index, item in enumerate(kept.items):
            plan = None if item is None else await self._plans.get(item.plan)
            if item is None or plan is None or plan.effect != "pure" or not kept.wishes.read:
                leads.append(index)
                continue
            leads.append(first.setdefault((item.flow, item.plan, _digest(plan, item.input)), index))
        return tuple(leads)

    # Working one off.

    async def _work(self, batch: _Batch, index: int, item: Wanted) -> None:
        if batch.outcomes[index].state == "cancelled":
            return
        id_ = derived_execution_id(batch.tenant, f"batch\0{batch.id}\0{index}")
        job = Job(id_, batch.tenant, item, batch.kept.wishes, batch.kept.timeout)
        self._tell(batch, index, Outcome("running", id_))
        pause = FIRST
        while True:
            try:
                row, shared = await self._execute(job)
            except StrataError as error:
                if not error.retryable or batch.kept.cancelled:
                    state: State = "cancelled" if batch.kept.cancelled else "failed"
                    self._tell(batch, index, Outcome(state, None, None, Refused(error.code, error.message)))
                    break
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST)
                continue
            self._tell(batch, index, Outcome(row.status, row.id, row, shared=shared))
            break
        await self._settle(batch)

    def _tell(self, batch: _Batch, index: int, outcome: Outcome) -> None:
        """What became of an item, and of those equal to it."""
        batch.outcomes[index] = outcome
        for other, leader in enumerate(batch.leads):
            if leader == index != other and batch.outcomes[other].state != "cancelled":
                batch.outcomes[other] = msgspec.structs.replace(outcome, shared=True)

    async def _settle(self, batch: _Batch) -> None:
        """Once every item has ended, keep where their answers are."""
        if batch.done.is_set() or any(
            each.state in ("queued", "running") for each in batch.outcomes.values()
        ):
            return
        batch.done.set()
        if any(each.state in ("waiting", "paused") for each in batch.outcomes.values()):
            return  # it goes on after the next start too
        ended = tuple(batch.outcomes[index].execution or "" for index in range(len(batch.kept.items)))
        batch.kept = msgspec.structs.replace(batch.kept, ended=ended)
        await self._put(batch.tenant, batch.id, batch.kept)
        over = [place for place, each in self._batches.items() if each.kept.ended is not None]
        for place in over[:-REMEMBERED]:
            del self._batches[place]

    # Looking.

    async def _batch(self, tenant: Tenant, id_: str) -> _Batch:
        batch = self._batches.get((tenant, id_))
        if batch is not None:
            return batch
        document = await self._shelf.get(tenant, KIND, id_)
        if document is None:
            raise NotFound(f"no batch {id_}", hint="batches are known to the tenant that submitted them")
        return await self._told(tenant, id_, _decode(document.body))

    async def _told(self, tenant: Tenant, id_: str, kept: Kept) -> _Batch:
        """A batch that is not at work here, as its executions tell it."""
        batch = _Batch(id_, tenant, kept, await self._leaders(kept))
        batch.done.set()
        for index, item in enumerate(kept.items):
            if item is None:
                batch.outcomes[index] = Outcome("refused", refused=kept.refused[index])
                continue
            own = derived_execution_id(tenant, f"batch\0{id_}\0{batch.leads[index]}")
            source = own if kept.ended is None else ExecutionId(kept.ended[index])
            row = await self._find(source) if source else None
            absent: State = "cancelled" if kept.cancelled else "queued" if kept.ended is None else "failed"
            state = absent if row is None else row.status
            shared = batch.leads[index] != index or (row is not None and row.id != own)
            batch.outcomes[index] = Outcome(state, None if row is None else row.id, row, shared=shared)
        return batch

    async def _progress(self, batch: _Batch) -> Progress:
        outcomes = [await self._now(batch.outcomes[index]) for index in range(len(batch.kept.items))]
        return Progress(batch.id, batch.kept.created, batch.kept.cancelled, tuple(outcomes))

    async def _now(self, outcome: Outcome) -> Outcome:
        """An outcome that may have changed since: somebody answered what an execution asked."""
        if outcome.state not in ("waiting", "paused") or outcome.execution is None:
            return outcome
        row = await self._find(outcome.execution)
        return outcome if row is None else Outcome(row.status, row.id, row, shared=outcome.shared)

    async def _put(
        self, tenant: Tenant, id_: str, kept: Kept, *, by: str = "", expected: int | None = None
    ) -> None:
        body = msgspec.json.encode(kept)
        quota = KEPT if expected == 0 else None
        await self._shelf.put(
            tenant, KIND, id_, body, at=self._clock.now(), by=by, expected=expected, quota=quota
        )


def _decode(body: bytes) -> Kept:
    return msgspec.json.decode(body, type=Kept)


def _queue(tenant: Tenant, flow: FlowId) -> str:
    return f"{tenant}\0{flow}"


def _digest(plan: Plan, given: Any) -> Digest:
    return digest(canonical_value(plan.input.type, plan.input.project(given)), finite=True)
