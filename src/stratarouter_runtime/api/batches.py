"""Batches over HTTP: submitted, followed, cancelled.

Must never know: how items are executed, or where batches are kept.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import UNSET

from stratarouter_runtime.api import views
from stratarouter_runtime.api.batch_models import (
    BatchAnswer,
    BatchItem,
    BatchOutcome,
    BatchRequest,
)
from stratarouter_runtime.api.bodies import read_json
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.executions import PATIENCE, SECOND, key_of, manner_of, wishes
from stratarouter_runtime.api.models import Error, Options
from stratarouter_runtime.errors import Conflict, NotFound
from stratarouter_runtime.ids import FlowId, derived_execution_id
from stratarouter_runtime.services.items import Refused as RefusedItem
from stratarouter_runtime.services.items import Wanted
from stratarouter_runtime.tcfp.times import time_text

if TYPE_CHECKING:
    from stratarouter_runtime.services.items import Outcome, Progress


@operation(
    {202: BatchAnswer},
    takes=BatchRequest,
    headers=("Idempotency-Key",),
    refuses=("limit-exceeded", "idempotency-key-reused"),
)
async def submit(service: Service, request: Request) -> Reply:
    """`POST /api/v1/batch/submit`: 202 once it is durable, with the reason of every item that is refused.

    The same `Idempotency-Key` with the same items is the same batch.
    """
    body, key = await read_json(request, BatchRequest), key_of(request)
    wanted = [await _wanted(service, request, item) for item in body.items]
    seconds = body.options.timeout_seconds
    own = (
        service.entropy.execution_id()
        if key is None
        else derived_execution_id(request.tenant, f"batch\0{key}")
    )
    try:
        progress = await service.runtime.batches.submit(
            request.tenant,
            own.replace("exec_", "batch_", 1),
            wanted,
            wishes=wishes(body.options.cache, enabled=body.options.enable_cache),
            limit=None if seconds is None else int(seconds * SECOND),
            by=request.caller.by,
        )
    except Conflict as error:
        raise Refused("idempotency-key-reused", error.message, hint=error.hint or "") from error
    place = (b"location", f"/api/v1/batch/{progress.id}".encode())
    return Reply(_answer(progress), 202, (place,))


@operation({200: BatchAnswer}, headers=("Prefer",), refuses=("not-found",))
async def read(service: Service, request: Request) -> Reply:
    """`GET /api/v1/batch/{id}`: progress, and what became of each item; `Prefer: wait` waits for its end first."""
    batches, name = service.runtime.batches, request.param("id")
    manner = manner_of(Options(mode="async"), request.header(b"prefer"), PATIENCE)
    if manner.patience:
        with suppress(TimeoutError):
            async with asyncio.timeout(manner.patience):
                await batches.wait(request.tenant, name)
    return Reply(_answer(await batches.progress(request.tenant, name)), 200, manner.headers)


@operation({202: BatchAnswer}, refuses=("not-found", "invalid-state"))
async def cancel(service: Service, request: Request) -> Reply:
    """`POST /api/v1/batch/{id}/cancel`: 202 once the wish is durable."""
    batches = service.runtime.batches
    progress = await batches.cancel(request.tenant, request.param("id"), request.caller.by)
    return Reply(_answer(progress), 202)


async def _wanted(service: Service, request: Request, item: BatchItem) -> Wanted | RefusedItem:
    flow = FlowId(item.workflow_id)
    try:
        deployed, _ = await service.runtime.flows.deployed(request.tenant, flow)
    except NotFound as error:
        return RefusedItem(error.code, error.message)
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
