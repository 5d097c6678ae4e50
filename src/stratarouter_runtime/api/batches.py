"""Batches over HTTP: submitted, followed, cancelled.

Must never know: how items are executed, or where batches are kept.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from stratarouter_runtime.api import views
from stratarouter_runtime.api.bodies import read_json
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.executions import SECOND, wishes
from stratarouter_runtime.api.models import CacheOptions, Error, Name, Seconds
from stratarouter_runtime.batches import ITEMS, Refused, Wanted
from stratarouter_runtime.errors import NotFound
from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.tcfp.times import time_text

if TYPE_CHECKING:
    from stratarouter_runtime.batches import Outcome, Progress


class BatchItem(Struct, frozen=True, forbid_unknown_fields=True):
    """One execution that is wanted."""

    workflow_id: Name
    input: Any = field(default_factory=dict)


class BatchOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """How to execute every item."""

    enable_cache: bool = True
    cache: CacheOptions = CacheOptions()
    timeout_seconds: Seconds | None = None


class BatchRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/batch/submit`."""

    items: Annotated[tuple[BatchItem, ...], Meta(min_length=1, max_length=ITEMS)]
    options: BatchOptions = BatchOptions()


class BatchOutcome(Struct, frozen=True):
    """What became of an item; `shared` where another item, or an earlier answer, answered it."""

    index: int
    status: str
    execution_id: str | UnsetType = UNSET
    shared: bool = False
    output: Any = UNSET
    error: Error | UnsetType = UNSET


class BatchAnswer(Struct, frozen=True):
    """A batch as it stands: how many items are in each status, and each item in its order."""

    id: str
    created: str
    ended: bool
    cancelled: bool
    counts: dict[str, int]
    items: tuple[BatchOutcome, ...]


@operation({202: BatchAnswer}, takes=BatchRequest, refuses=("limit-exceeded",))
async def submit(service: Service, request: Request) -> Reply:
    """`POST /api/v1/batch/submit`: 202 once it is durable, with the reason of every item that is refused."""
    body = await read_json(request, BatchRequest)
    wanted = [await _wanted(service, request, item) for item in body.items]
    seconds = body.options.timeout_seconds
    progress = await service.runtime.batches.submit(
        request.tenant,
        service.entropy.execution_id().replace("exec_", "batch_", 1),
        wanted,
        wishes=wishes(body.options.cache, enabled=body.options.enable_cache),
        limit=None if seconds is None else int(seconds * SECOND),
        by=request.caller.by,
    )
    place = (b"location", f"/api/v1/batch/{progress.id}".encode())
    return Reply(_answer(progress), 202, (place,))


@operation({200: BatchAnswer}, refuses=("not-found",))
async def read(service: Service, request: Request) -> Reply:
    """`GET /api/v1/batch/{id}`: progress, and what became of each item."""
    return Reply(_answer(await service.runtime.batches.progress(request.tenant, request.param("id"))))


@operation({202: BatchAnswer}, refuses=("not-found", "invalid-state"))
async def cancel(service: Service, request: Request) -> Reply:
    """`POST /api/v1/batch/{id}/cancel`: 202 once the wish is durable."""
    batches = service.runtime.batches
    progress = await batches.cancel(request.tenant, request.param("id"), request.caller.by)
    return Reply(_answer(progress), 202)


async def _wanted(service: Service, request: Request, item: BatchItem) -> Wanted | Refused:
    flow = FlowId(item.workflow_id)
    try:
        deployed, _ = await service.runtime.flows.deployed(request.tenant, flow)
    except NotFound as error:
        return Refused(error.code, error.message)
    return Wanted(flow, deployed.plan, item.input)


def _answer(progress: Progress) -> BatchAnswer:
    counts = Counter(outcome.state for outcome in progress.outcomes)
    return BatchAnswer(
        id=progress.id,
        created=time_text(progress.created),
        ended=progress.ended,
        cancelled=progress.cancelled,
        counts=dict(sorted(counts.items())),
        items=tuple(_outcome(index, each) for index, each in enumerate(progress.outcomes)),
    )


def _outcome(index: int, outcome: Outcome) -> BatchOutcome:
    row, refused = outcome.row, outcome.refused
    told = None if row is None else views.execution(row, "")
    error = UNSET if told is None else told.error
    return BatchOutcome(
        index=index,
        status=outcome.state,
        execution_id=outcome.execution or UNSET,
        shared=outcome.shared,
        output=UNSET if told is None else told.output,
        error=error if refused is None else Error(refused.code, refused.message, "", UNSET),
    )
