"""Deploying flows over HTTP, and reading what is deployed.

An entity tag is the digest of the plan: it changes when the meaning does, not the text.
Must never know: how a flow is checked or compiled.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.api.bodies import media_type
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import Refused, place_of
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.models import ValidationAnswer, WorkflowAnswer, Worst
from stratarouter_runtime.api.views import usd
from stratarouter_runtime.errors import InvalidFlow, NotFound
from stratarouter_runtime.ids import FlowId, Tenant
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.times import time_text

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Deployed
    from stratarouter_runtime.tcfp.plan import Plan
    from stratarouter_runtime.tcfp.text import Kind

KINDS: Final[dict[str, Kind]] = {"application/yaml": "yaml", "application/json": "json"}

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
    refuses=("invalid-flow", "link-error", "precondition-failed", "workflow-quota"),
)
async def deploy(service: Service, request: Request) -> Reply:
    """`PUT /api/v1/workflows/{id}`: 201 for a new workflow, 200 for a new version of one.

    The body is the flow in YAML or JSON. `If-Match` and `If-None-Match` guard against
    overwriting what somebody else deployed.
    """
    flow = FlowId(request.param("id"))
    if fault := id_fault(flow):
        raise Refused("invalid-request", fault, hint=ID_HINT)
    kind = _kind(request)
    source = _text(await request.body(), kind)
    async with service.deploying:
        before = await _current(service, request.tenant, flow)
        _check_conditions(request, before)
        deployed, plan = await service.runtime.flows.deploy(
            request.tenant, flow, source, kind=kind, by=request.caller.by
        )
    return _reply(deployed, plan, 201 if before is None else 200)


@operation({200: ValidationAnswer}, texts=tuple(KINDS), refuses=("link-error",))
async def validate(service: Service, request: Request) -> Reply:
    """`POST /api/v1/workflows/validate`: all that the checker says of the flow in the body; keeps nothing."""
    kind = _kind(request)
    source = _text(await request.body(), kind)
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
    wanted = request.header(b"if-none-match")
    if wanted is not None and _names(wanted, deployed, weak=True):
        return Reply(None, 304, (_tag(deployed),))
    return _reply(deployed, plan, 200)


async def _current(service: Service, tenant: Tenant, flow: FlowId) -> Deployed | None:
    try:
        deployed, _ = await service.runtime.flows.deployed(tenant, flow)
    except NotFound:
        return None
    return deployed


def _kind(request: Request) -> Kind:
    kind = media_type(request)
    if kind not in KINDS:
        raise Refused(
            "unsupported-media-type",
            f"the body is {kind or 'of no stated type'}, expected is {' or '.join(KINDS)}",
            hint="send the header Content-Type: application/yaml",
        )
    return KINDS[kind]


def _text(body: bytes, kind: Kind) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        # The loader names the very byte.
        diagnostics = load(body, kind=kind).diagnostics
        raise InvalidFlow("the document is not in UTF-8", diagnostics=diagnostics) from None


def _check_conditions(request: Request, before: Deployed | None) -> None:
    """Hold the caller's conditions (RFC 9110) against what is deployed. Raises `Refused`."""
    wanted, unwanted = request.header(b"if-match"), request.header(b"if-none-match")
    if wanted is not None and not _names(wanted, before, weak=False):
        found = "it is not deployed" if before is None else f"it is {before.plan}"
        hint = "read it again, and decide whether to overwrite it"
        raise Refused("precondition-failed", f"If-Match does not hold: {found}", hint=hint)
    if unwanted is not None and _names(unwanted, before, weak=True):
        raise Refused("precondition-failed", "If-None-Match does not hold: it is deployed already")


def _names(header: str, deployed: Deployed | None, *, weak: bool) -> bool:
    """Whether a list of entity tags names what is deployed; `weak` tags count where told so."""
    if deployed is None:
        return False
    tags = [tag.strip() for tag in header.split(",")]
    return any(
        tag == "*" or (tag.removeprefix("W/") if weak else tag) == f'"{deployed.plan}"' for tag in tags
    )


def _tag(deployed: Deployed) -> tuple[bytes, bytes]:
    return (b"etag", f'"{deployed.plan}"'.encode())


def _reply(deployed: Deployed, plan: Plan, status: int) -> Reply:
    location = ((b"location", f"/api/v1/workflows/{deployed.flow}".encode()),) if status == 201 else ()
    return Reply(_answer(deployed, plan), status, (_tag(deployed), *location))


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
