"""Routing over HTTP: the rules of a tenant, a decision asked for, and feedback on those taken.

An entity tag of the rules is their version. Must never know: how anything is weighed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from stratarouter_runtime.api.bodies import read_json
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import Refused, within
from stratarouter_runtime.api.exchange import Reply, Request, Service
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


@operation({200: RulesAnswer})
async def rules(service: Service, request: Request) -> Reply:
    """`GET /api/v1/routing/rules`: in the order of writing."""
    return _told(await _routers(service).rules(request.tenant))


@operation(
    {200: RulesAnswer},
    takes=RulesRequest,
    headers=("If-Match",),
    refuses=("invalid-input", "precondition-failed"),
)
async def put_rules(service: Service, request: Request) -> Reply:
    """`POST /api/v1/routing/rules`: add rules, or replace those of the same names; 200 with all there are."""
    body = await read_json(request, RulesRequest)
    expected = _expected(request)
    try:
        with within("/rules"):
            held = await _routers(service).put_rules(
                request.tenant, body.rules, by=request.caller.by, expected=expected
            )
    except Conflict as error:
        raise _changed(error) from error
    return _told(held)


@operation(
    {200: RulesAnswer},
    query=Named,
    headers=("If-Match",),
    refuses=("not-found", "precondition-failed"),
)
async def remove_rules(service: Service, request: Request) -> Reply:
    """`DELETE /api/v1/routing/rules`: those named by `?name=`, or all; 200 with what is left."""
    names = parse_qs(request.query, keep_blank_values=True, max_num_fields=100).get("name")
    try:
        held = await _routers(service).remove_rules(
            request.tenant, names, by=request.caller.by, expected=_expected(request)
        )
    except Conflict as error:
        raise _changed(error) from error
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
    return Reply(RulesAnswer(held.written), 200, ((b"etag", f'"{held.version}"'.encode()),))


def _expected(request: Request) -> int | None:
    """The version that `If-Match` names. Raises `Refused` for one that cannot be."""
    wanted = request.header(b"if-match")
    if wanted is None or wanted.strip() == "*":
        return None
    tag = wanted.strip().removeprefix("W/").strip('"')
    if not (tag.isascii() and tag.isdigit() and len(tag) < 16):
        raise Refused("precondition-failed", f"If-Match {wanted[:80]!r} is no version of the rules")
    return int(tag)


def _changed(error: Conflict) -> Refused:
    return Refused("precondition-failed", error.message, hint="read them again: GET /api/v1/routing/rules")
