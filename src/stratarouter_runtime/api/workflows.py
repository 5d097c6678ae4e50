"""Deploying flows over HTTP, and reading what is deployed.

An entity tag is the digest of the plan: it changes when the meaning does, not the text.
Must never know: how a flow is checked or compiled.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.api.conditions import check_conditions, tagged, unchanged
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import Refused, place_of
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.models import ValidationAnswer, WorkflowAnswer, Worst
from stratarouter_runtime.api.notations import KINDS, notation_of, text_of
from stratarouter_runtime.api.views import usd
from stratarouter_runtime.errors import NotFound
from stratarouter_runtime.ids import FlowId, Tenant
from stratarouter_runtime.tcfp.times import time_text

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Deployed
    from stratarouter_runtime.tcfp.plan import Plan

RESERVED: Final = frozenset({"execute", "validate"})
"""Paths below `/api/v1/workflows/` that are no workflow."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


ID_HINT: Final = "1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', the first a letter or digit"


def id_fault(name: str) -> str:
    """Why a flow cannot be deployed under this name; empty where it can."""
    if name in RESERVED:
        return f"{name!r} is reserved"
    return "" if _ID.fullmatch(name) else f"{name[:140]!r} cannot be the id of a workflow"


@operation(
    {200: WorkflowAnswer, 201: WorkflowAnswer},
    texts=tuple(KINDS),
    headers=("If-Match", "If-None-Match"),
    refuses=("invalid-flow", "link-error", "precondition-failed", "workflow-quota", "policy-refused"),
)
async def deploy(service: Service, request: Request) -> Reply:
    """`PUT /api/v1/workflows/{id}`: 201 for a new workflow, 200 for a new version of one.

    The body is the flow in YAML or JSON. `If-Match` and `If-None-Match` guard against
    overwriting what somebody else deployed.
    """
    flow = FlowId(request.param("id"))
    if fault := id_fault(flow):
        raise Refused("invalid-request", fault, hint=ID_HINT)
    kind = notation_of(request)
    source = text_of(await request.body(), kind)
    async with service.deploying:
        before = await _current(service, request.tenant, flow)
        check_conditions(request, None if before is None else before.plan, "it is deployed")
        quota = None if service.gate is None else (await service.gate.tier(request.tenant)).workflows
        deployed, plan = await service.runtime.flows.deploy(
            request.tenant, flow, source, kind=kind, by=request.caller.by, quota=quota
        )
    return _reply(deployed, plan, 201 if before is None else 200)


@operation({204: None}, headers=("If-Match",), refuses=("not-found", "precondition-failed"))
async def retire(service: Service, request: Request) -> Reply:
    """`DELETE /api/v1/workflows/{id}`: it is executed no more; what is under way goes on, what was is kept."""
    flow = FlowId(request.param("id"))
    async with service.deploying:
        before = await _current(service, request.tenant, flow)
        check_conditions(request, None if before is None else before.plan, "it is deployed")
        await service.runtime.flows.retire(request.tenant, flow, by=request.caller.by)
    return Reply(None, 204)


@operation({200: ValidationAnswer}, texts=tuple(KINDS), refuses=("link-error",))
async def validate(service: Service, request: Request) -> Reply:
    """`POST /api/v1/workflows/validate`: all that the checker says of the flow in the body; keeps nothing."""
    kind = notation_of(request)
    source = text_of(await request.body(), kind)
    flows = service.runtime.flows
    await flows.offer_deployed(request.tenant)
    examined = await asyncio.to_thread(flows.examine, source, kind=kind, tenant=request.tenant)
    found = tuple(place_of(each) for each in examined.diagnostics)
    plan = examined.plan
    if plan is None:
        return Reply(ValidationAnswer(valid=False, diagnostics=found))
    return Reply(
        ValidationAnswer(
            valid=True,
            diagnostics=found,
            plan=plan.digest,
            flow_digest=plan.flow_digest,
            effect=plan.effect,
            agents=tuple(agent.name for agent in plan.agents),
            worst_case=_worst(plan),
        )
    )


@operation({200: WorkflowAnswer, 304: None}, headers=("If-None-Match",))
async def read(service: Service, request: Request) -> Reply:
    """`GET /api/v1/workflows/{id}`: the version that runs now, with its text."""
    deployed, plan = await service.runtime.flows.deployed(request.tenant, FlowId(request.param("id")))
    return unchanged(request, deployed.plan) or _reply(deployed, plan, 200)


async def _current(service: Service, tenant: Tenant, flow: FlowId) -> Deployed | None:
    try:
        deployed, _ = await service.runtime.flows.deployed(tenant, flow)
    except NotFound:
        return None
    return deployed


def _reply(deployed: Deployed, plan: Plan, status: int) -> Reply:
    location = ((b"location", f"/api/v1/workflows/{deployed.flow}".encode()),) if status == 201 else ()
    return Reply(_answer(deployed, plan), status, (tagged(deployed.plan), *location))


def _answer(deployed: Deployed, plan: Plan) -> WorkflowAnswer:
    return WorkflowAnswer(
        workflow_id=deployed.flow,
        plan=deployed.plan,
        flow=plan.name,
        flow_digest=plan.flow_digest,
        effect=plan.effect,
        agents=tuple(agent.name for agent in plan.agents),
        worst_case=_worst(plan),
        created=time_text(deployed.created),
        source=deployed.source,
    )


def _worst(plan: Plan) -> Worst:
    bound = plan.bound
    return Worst(bound.steps, bound.attempts, usd(bound.usd), bound.tokens)
