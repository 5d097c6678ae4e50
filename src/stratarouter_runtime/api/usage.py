"""What the caller's tenant has used of its limits, what is left, and what its executions came to.

Must never know: how anything is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.models import Cost
from stratarouter_runtime.api.usage_models import LimitUsed, Saved, Total, UsageAnswer, WorkflowUsage
from stratarouter_runtime.api.views import usd
from stratarouter_runtime.cache.questions import space_of
from stratarouter_runtime.errors import NotFound
from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.tcfp.times import time_text

if TYPE_CHECKING:
    from stratarouter_runtime.limits.gate import Gate
    from stratarouter_runtime.limits.usage import Limit
    from stratarouter_runtime.tenancy.quotas import Totals


@operation({200: UsageAnswer})
async def stats(service: Service, request: Request) -> Reply:
    """`GET /api/v1/usage/stats`: limits used and left, and what all executions of the tenant came to."""
    found = await _gate(service).report(request.tenant)
    limits = tuple(_limit(each) for each in found.limits)
    saved = _saved(service, request)
    return Reply(
        UsageAnswer(found.tenant, found.tier, limits, _total(found.today), _total(found.ever), saved)
    )


@operation({200: WorkflowUsage}, refuses=("not-found",))
async def of_workflow(service: Service, request: Request) -> Reply:
    """`GET /api/v1/usage/workflows/{id}`: what the executions of one workflow came to."""
    flow = FlowId(request.param("id"))
    today, ever = await _gate(service).totals(request.tenant, flow)
    if not ever.executions:
        try:
            await service.runtime.flows.deployed(request.tenant, flow)
        except NotFound:
            raise NotFound(f"no workflow '{flow}' was ever executed or is deployed") from None
    saved = _saved(service, request, space_of(flow))
    return Reply(WorkflowUsage(flow, _total(today), _total(ever), saved))


def _gate(service: Service) -> Gate:
    if service.gate is None:
        raise Refused("not-supported", "this server counts for no tenant")
    return service.gate


def _saved(service: Service, request: Request, space: str | None = None) -> Saved:
    reuse = service.runtime.reuse
    counted = [] if reuse is None else reuse.cache.ledger.counts(request.tenant)
    found = [each for each in counted if space in (None, each.space)]
    return Saved(
        reused=sum(each.exact + each.normalised + each.semantic for each in found),
        coalesced=sum(each.coalesced for each in found),
        usd=usd(sum(each.saved_usd for each in found)),
        tokens=sum(each.saved_tokens for each in found),
        agents_ms=round(sum(each.saved_ms for each in found), 3),
    )


def _limit(used: Limit) -> LimitUsed:
    resets = UNSET if used.resets is None else time_text(used.resets)
    return LimitUsed(used.name, used.used, used.limit, used.left, resets)


def _total(total: Totals) -> Total:
    cost = Cost(usd(total.usd), total.tokens_in, total.tokens_out)
    return Total(total.executions, total.completed, total.failed, cost, round(total.agent_ms, 3))
