"""Registering agents over HTTP, and reading which there are.

An entity tag is the digest of the agent: it changes when its behaviour may, not when its text does.
Must never know: kinds of agents, or where documents are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stratarouter_runtime.api.agent_models import AgentAnswer, AgentList, AgentSummary, NamedAgent
from stratarouter_runtime.api.bodies import read_json
from stratarouter_runtime.api.conditions import check_conditions, tagged, unchanged
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.models import Worst
from stratarouter_runtime.api.notations import KINDS, notation_of, text_of
from stratarouter_runtime.api.queries import Page, paged, place, read_query
from stratarouter_runtime.api.views import usd
from stratarouter_runtime.errors import NotFound
from stratarouter_runtime.ids import AgentName, Tenant
from stratarouter_runtime.tcfp.json_schema import to_schema
from stratarouter_runtime.tcfp.times import time_text

if TYPE_CHECKING:
    from stratarouter_runtime.agents.roster import Registered, Roster
    from stratarouter_runtime.ports import Agent
    from stratarouter_runtime.tcfp.ir import Signature
    from stratarouter_runtime.tcfp.text import Kind


_REFUSES = (
    *("invalid-agent", "invalid-input", "link-error", "precondition-failed", "conflict"),
    *("agent-quota", "policy-refused"),
)


@operation({200: AgentAnswer, 201: AgentAnswer}, takes=NamedAgent, refuses=_REFUSES)
async def create(service: Service, request: Request) -> Reply:
    """`POST /api/v1/agents`: register `{"name", "source"}`, the source in YAML or JSON."""
    given = await read_json(request, NamedAgent)
    notation: Kind = "json" if given.source.lstrip().startswith("{") else "yaml"
    return await _register(service, request, AgentName(given.name), given.source, notation)


@operation(
    {200: AgentAnswer, 201: AgentAnswer},
    texts=tuple(KINDS),
    headers=("If-Match", "If-None-Match"),
    refuses=_REFUSES,
)
async def put(service: Service, request: Request) -> Reply:
    """`PUT /api/v1/agents/{name}`: 201 for a new agent, 200 for a new version of one.

    The body is the agent in YAML or JSON, as it stands below its name in a project. `If-Match` and
    `If-None-Match` guard against overwriting what somebody else registered.
    """
    kind = notation_of(request)
    source = text_of(await request.body(), kind)
    return await _register(service, request, AgentName(request.param("name")), source, kind)


async def _register(
    service: Service, request: Request, name: AgentName, source: str, notation: Kind
) -> Reply:
    roster = _roster(service)
    before = await _current(roster, request.tenant, name)
    check_conditions(request, None if before is None else before.digest, "it is registered")
    expected = before.version if before else 0
    quota = None if service.gate is None else (await service.gate.tier(request.tenant)).agents
    after = await roster.register(
        request.tenant, name, source, notation, by=request.caller.by, expected=expected, quota=quota
    )
    location = ((b"location", f"/api/v1/agents/{name}".encode()),) if before is None else ()
    return Reply(_answer(after), 201 if before is None else 200, (tagged(after.digest), *location))


@operation({200: AgentAnswer, 304: None}, headers=("If-None-Match",))
async def read(service: Service, request: Request) -> Reply:
    """`GET /api/v1/agents/{name}`: the version in force, with its text where it was registered."""
    name = AgentName(request.param("name"))
    own = service.runtime.flows.project.get(name)
    told = _answer(await _roster(service).find(request.tenant, name)) if own is None else _project(own)
    return unchanged(request, told.digest) or Reply(told, 200, (tagged(told.digest),))


@operation({200: AgentList}, query=Page)
async def listed(service: Service, request: Request) -> Reply:
    """`GET /api/v1/agents`: those of the project and those that were registered, by name."""
    query = read_query(request, Page)
    after = place(query.cursor) or ""
    own = [_own_summary(agent) for agent in service.runtime.flows.project.values()]
    registered = [_summary(found) for found in await _roster(service).all(request.tenant)]
    found = sorted((each for each in (*own, *registered) if each.name > after), key=lambda each: each.name)
    return paged(request, query, found, lambda each: each.name, AgentList)


@operation({204: None}, headers=("If-Match",), refuses=("precondition-failed",))
async def delete(service: Service, request: Request) -> Reply:
    """`DELETE /api/v1/agents/{name}`: flows are linked to it no more; executions that are, go on."""
    roster, name = _roster(service), AgentName(request.param("name"))
    before = await _current(roster, request.tenant, name)
    check_conditions(request, None if before is None else before.digest, "it is registered")
    expected = None if before is None else before.version
    await roster.remove(request.tenant, name, by=request.caller.by, expected=expected)
    return Reply(None, 204)


def _roster(service: Service) -> Roster:
    roster = service.runtime.roster
    if roster is None:
        raise Refused("not-supported", "this server registers no agents")
    return roster


async def _current(roster: Roster, tenant: Tenant, name: AgentName) -> Registered | None:
    try:
        return await roster.find(tenant, name)
    except NotFound:
        return None


def _answer(found: Registered) -> AgentAnswer:
    return _described(
        found.name,
        found.kind,
        found.digest,
        found.signature,
        version=found.version,
        created=time_text(found.created),
        updated=time_text(found.updated),
        source=found.source,
    )


def _project(agent: Agent) -> AgentAnswer:
    return _described(agent.name, "project", agent.digest, agent.signature)


def _described(name: str, kind: str, digest: str, signature: Signature, **rest: Any) -> AgentAnswer:
    cost = signature.cost
    return AgentAnswer(
        name=name,
        kind=kind,
        digest=digest,
        input=to_schema(signature.input, closed=False),
        output=to_schema(signature.output),
        effect=signature.effect,
        about=signature.about,
        tags=signature.tags,
        worst_case=Worst(1, 1, usd(cost.usd), cost.tokens),
        **rest,
    )


def _summary(found: Registered) -> AgentSummary:
    return AgentSummary(found.name, found.kind, found.digest, found.signature.effect, found.signature.about)


def _own_summary(agent: Agent) -> AgentSummary:
    return AgentSummary(agent.name, "project", agent.digest, agent.signature.effect, agent.signature.about)
