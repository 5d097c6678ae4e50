"""Routing over HTTP: the rules of a tenant, a decision asked for, and feedback on those taken.

An entity tag of the rules is their version. Must never know: how anything is weighed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.api.bodies import read_json
from stratarouter_runtime.api.conditions import (
    check_conditions,
    conditional,
    overtaken,
    tagged,
    unchanged,
)
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import Refused, within
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.queries import read_query
from stratarouter_runtime.api.routing_models import (
    DecideRequest,
    FeedbackAnswer,
    FeedbackRequest,
    Named,
    RulesAnswer,
    RulesRequest,
)
from stratarouter_runtime.errors import Conflict
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.routing.explained import Decision
from stratarouter_runtime.routing.rules import Question
from stratarouter_runtime.services.feedback import Said

if TYPE_CHECKING:
    from stratarouter_runtime.services.routers import Held, Routers


@operation({200: RulesAnswer, 304: None}, headers=("If-None-Match",))
async def rules(service: Service, request: Request) -> Reply:
    """`GET /api/v1/routing/rules`: in the order of writing."""
    held = await _routers(service).rules(request.tenant)
    return unchanged(request, _tag(held)) or _told(held)


@operation(
    {200: RulesAnswer},
    takes=RulesRequest,
    headers=("If-Match", "If-None-Match"),
    refuses=("invalid-input", "precondition-failed"),
)
async def put_rules(service: Service, request: Request) -> Reply:
    """`POST /api/v1/routing/rules`: add rules, or replace those of the same names; 200 with all there are."""
    body = await read_json(request, RulesRequest)
    expected = await _expected(service, request)
    try:
        with within("/rules"):
            held = await _routers(service).put_rules(
                request.tenant, body.rules, by=request.caller.by, expected=expected
            )
    except Conflict as error:
        raise overtaken(error) from error
    return _told(held)


@operation(
    {200: RulesAnswer},
    query=Named,
    headers=("If-Match", "If-None-Match"),
    refuses=("not-found", "precondition-failed"),
)
async def remove_rules(service: Service, request: Request) -> Reply:
    """`DELETE /api/v1/routing/rules`: those named by `?name=`, or all; 200 with what is left."""
    names = read_query(request, Named).name
    expected = await _expected(service, request)
    try:
        held = await _routers(service).remove_rules(
            request.tenant, names or None, by=request.caller.by, expected=expected
        )
    except Conflict as error:
        raise overtaken(error) from error
    return _told(held)


@operation(
    {200: Decision},
    takes=DecideRequest,
    refuses=("invalid-input", "invalid-state", "not-found"),
)
async def decide(service: Service, request: Request) -> Reply:
    """`POST /api/v1/routing/decide`: for whom a query is, and why. Runs nothing, and is kept nowhere."""
    body = await read_json(request, DecideRequest)
    asked = Question(body.query, body.labels, body.input)
    with within():
        return Reply(await _routers(service).decide(request.tenant, body.table, asked, body.routing))


@operation({201: FeedbackAnswer}, takes=FeedbackRequest, refuses=("invalid-input", "not-found"))
async def feedback(service: Service, request: Request) -> Reply:
    """`POST /api/v1/executions/{id}/feedback`: 201 once it is kept. A later one replaces an earlier one."""
    body = await read_json(request, FeedbackRequest)
    journaled = await service.runtime.history.journal(ExecutionId(request.param("id")), request.tenant)
    plan = await service.runtime.flows.plan(journaled.execution.plan)
    said = Said(body.route, body.step, body.should, body.answer, body.reuse, body.comment)
    with within():
        remark = await service.runtime.feedback.give(journaled, plan, said, by=request.caller.by)
    return Reply(FeedbackAnswer(remark.execution, remark.chosen, remark.belongs), 201)


def _routers(service: Service) -> Routers:
    routers = service.runtime.routers
    if routers is None:
        raise Refused("not-supported", "this server routes by what agents are about alone")
    return routers


def _told(held: Held) -> Reply:
    return Reply(RulesAnswer(held.written), 200, (tagged(_tag(held)),))


def _tag(held: Held) -> str:
    return str(held.version)


async def _expected(service: Service, request: Request) -> int | None:
    """The version that the caller's conditions hold for; None where he has none. Raises `Refused`."""
    if not conditional(request):
        return None
    held = await _routers(service).rules(request.tenant, anew=True)
    check_conditions(request, _tag(held), "it is there")
    return held.version
