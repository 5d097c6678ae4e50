"""Lists, page by page: executions newest first, workflows by name.

Must never know: how anything is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import refused_at
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.models import (
    Error,
    ExecutionList,
    ExecutionSummary,
    WorkflowList,
    WorkflowSummary,
)
from stratarouter_runtime.api.queries import Page, paged, place, read_query
from stratarouter_runtime.api.views import cost
from stratarouter_runtime.errors import NotFound
from stratarouter_runtime.ids import ExecutionId, FlowId
from stratarouter_runtime.ports import Status
from stratarouter_runtime.state.events import NO_USAGE
from stratarouter_runtime.tcfp.times import time_text

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Deployed, Execution


class ExecutionsQuery(Page, frozen=True, forbid_unknown_fields=True):
    """Which executions of a workflow."""

    status: tuple[Status, ...] = ()


class SearchQuery(ExecutionsQuery, frozen=True, forbid_unknown_fields=True):
    """Which executions at all."""

    workflow_id: str | None = None


@operation({200: ExecutionList}, query=SearchQuery)
async def search(service: Service, request: Request) -> Reply:
    """`GET /api/v1/executions`: those of the tenant, by workflow and status."""
    query = read_query(request, SearchQuery)
    return await _executions(service, request, query, query.workflow_id)


@operation({200: ExecutionList}, query=ExecutionsQuery)
async def of_workflow(service: Service, request: Request) -> Reply:
    """`GET /api/v1/workflows/{id}/executions`: also of a workflow that is deployed no more."""
    return await _executions(service, request, read_query(request, ExecutionsQuery), request.param("id"))


@operation({200: WorkflowList}, query=Page)
async def workflows(service: Service, request: Request) -> Reply:
    """`GET /api/v1/workflows`: what is deployed, by name."""
    query = read_query(request, Page)
    flows = service.runtime.flows
    found = await flows.page(request.tenant, place(query.cursor) or "", query.limit + 1)
    return paged(
        request,
        query,
        found,
        lambda each: each.flow,
        lambda page, following: WorkflowList(tuple(map(_workflow, page)), following),
    )


async def _executions(service: Service, request: Request, query: ExecutionsQuery, flow: str | None) -> Reply:
    before = place(query.cursor)
    try:
        rows = await service.runtime.history.search(
            request.tenant,
            flow=None if flow is None else FlowId(flow),
            status=query.status,
            before=None if before is None else ExecutionId(before),
            limit=query.limit + 1,
        )
    except NotFound as error:  # the execution that the cursor stands for: a made-up one, or forgotten since
        hint = "begin again without a cursor"
        raise refused_at(
            "?cursor", "invalid-request", f"the cursor leads nowhere: {error.message}", hint
        ) from error
    return paged(
        request,
        query,
        rows,
        lambda row: row.id,
        lambda page, following: ExecutionList(tuple(map(_execution, page)), following),
    )


def _workflow(deployed: Deployed) -> WorkflowSummary:
    return WorkflowSummary(deployed.flow, deployed.plan, time_text(deployed.created))


def _execution(row: Execution) -> ExecutionSummary:
    failure = row.failure
    return ExecutionSummary(
        execution_id=row.id,
        workflow_id=row.flow,
        plan=row.plan,
        status=row.status,
        created=time_text(row.created),
        updated=time_text(row.updated),
        records=row.records,
        cost=cost(row.usage or NO_USAGE),
        error=UNSET if failure is None else Error(failure.kind, failure.message, failure.step),
    )
