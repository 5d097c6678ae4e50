"""Executing flows over HTTP, and everything about one execution.

Handlers decode, call the runtime, and encode. Must never know: how an execution runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stratarouter_runtime.api import views
from stratarouter_runtime.api.bodies import read_json
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.errors import Refused, refused_at, within
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.models import (
    AnswerRequest,
    BudgetWish,
    CacheOptions,
    CancelRequest,
    DifferenceAnswer,
    ExecuteRequest,
    ExecutionAnswer,
    ForkRequest,
    Options,
    ProofAnswer,
)
from stratarouter_runtime.cache.policy import Wishes
from stratarouter_runtime.errors import Conflict, NotFound, StrataError
from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant, derived_execution_id
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.services.reuse import Verdict
from stratarouter_runtime.state.events import Budget
from stratarouter_runtime.state.fork import Change

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.tcfp.plan import Plan

PATIENCE: Final = 60.0
"""Seconds an answer is waited for where the request does not say."""

GRACE: Final = 1.0
"""Seconds more than its own limit that an execution gets to tell that it ran out of time."""

SECOND: Final = 1_000_000
"""In microseconds."""

_KEYED: Final = Verdict(why="key")
"""A request with a key has an execution of its own."""

_KEY: Final = re.compile(r"[ -~]{1,255}")
_WAIT: Final = re.compile(r"wait=(\d{1,9})")


class Manner(Struct, frozen=True):
    """How long the caller wants to wait, in seconds; `applied` is the preference that said so."""

    patience: float
    applied: str = ""

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What confirms the preference."""
        return ((b"preference-applied", self.applied.encode()),) if self.applied else ()


@operation(
    {200: ExecutionAnswer, 202: ExecutionAnswer},
    takes=ExecuteRequest,
    headers=("Idempotency-Key", "Prefer", "traceparent"),
    refuses=(
        "not-found",
        "in-flight",
        "idempotency-key-reused",
        "invalid-input",
        "exceeds-tier",
        "link-error",
    ),
)
async def execute(service: Service, request: Request) -> Reply:
    """`POST /api/v1/workflows/execute`: 200 when finished within the wait, 202 otherwise.

    An execution that failed is a result, and 200 too.
    """
    body = await read_json(request, ExecuteRequest)
    manner = manner_of(body.options, request.header(b"prefer"))
    key = key_of(request)
    if key is None:
        plan = await _plan(service, request.tenant, body)
        wished = wishes(body.options.cache, enabled=body.options.enable_cache and body.options.budget is None)
        wanted = _wanted(request, body, plan, None, wished)
        row, verdict = await service.runtime.answer(wanted, wished, manner.patience)
        return await _outcome(service, request, row, plan, manner, verdict)
    execution, plan = await _keyed(service, request, body, key)
    row = await service.runtime.wait(execution, manner.patience)
    return await _outcome(service, request, row, plan, manner)


@operation({200: ExecutionAnswer}, headers=("Prefer",))
async def read(service: Service, request: Request) -> Reply:
    """`GET /api/v1/executions/{id}`: the execution with its steps; `Prefer: wait` waits for its end first."""
    row = await _own(service, request)
    manner = manner_of(Options(mode="async"), request.header(b"prefer"), PATIENCE)
    if manner.patience and row.status not in ENDED:
        await service.runtime.wait(row.id, manner.patience)
    found = await service.runtime.history.journal(row.id, request.tenant)
    plan = await service.runtime.flows.plan(found.execution.plan)
    answer = views.journaled(found, plan, request.trace_id)
    return Reply(views.queued(answer, _waited(service, row.id)), 200, manner.headers)


@operation({202: ExecutionAnswer}, takes=CancelRequest, optional=True, refuses=("invalid-state",))
async def cancel(service: Service, request: Request) -> Reply:
    """`POST /api/v1/executions/{id}/cancel`: 202 once the wish is durable; undoing takes its time."""
    body = await read_json(request, CancelRequest, optional=True)
    row = await _own(service, request)
    await service.runtime.controls.cancel(row.id, body.reason, body.by)
    return await _accepted(service, request, row.id)


@operation({202: ExecutionAnswer}, takes=AnswerRequest, refuses=("invalid-state", "invalid-input"))
async def answer(service: Service, request: Request) -> Reply:
    """`POST /api/v1/executions/{id}/answer`: 202 once the answer is durable."""
    body = await read_json(request, AnswerRequest)
    row = await _own(service, request)
    with within("/value"):
        await service.runtime.controls.answer(row.id, body.step, body.value, body.by)
    return await _accepted(service, request, row.id)


@operation({202: ExecutionAnswer}, refuses=("invalid-state", "draining"))
async def pause(service: Service, request: Request) -> Reply:
    """`POST /api/v1/executions/{id}/pause`: 202 once calls under way have answered and it stands still."""
    row = await _own(service, request)
    await service.runtime.controls.pause(row.id)
    return await _accepted(service, request, row.id)


@operation({202: ExecutionAnswer}, refuses=("invalid-state", "draining"))
async def resume(service: Service, request: Request) -> Reply:
    """`POST /api/v1/executions/{id}/resume`: 202 once it is at work again."""
    row = await _own(service, request)
    await service.runtime.controls.resume(row.id)
    return await _accepted(service, request, row.id)


@operation(
    {202: ExecutionAnswer}, takes=ForkRequest, optional=True, refuses=("invalid-state", "invalid-input")
)
async def fork(service: Service, request: Request) -> Reply:
    """`POST /api/v1/executions/{id}/fork`: 202 with the new execution, which is at work."""
    body = await read_json(request, ForkRequest, optional=True)
    row = await _own(service, request)
    with within("/input"):
        forked = await service.runtime.controls.fork(
            row.id, Change(body.step, body.input, body.output, _budget(body.budget))
        )
    return await _accepted(service, request, forked)


@operation({202: ExecutionAnswer}, refuses=("invalid-state", "draining"))
async def migrate(service: Service, request: Request) -> Reply:
    """`POST /api/v1/executions/{id}/migrate`: 202 once it goes on with the deployed version of its workflow."""
    row = await _own(service, request)
    _, plan = await service.runtime.flows.deployed(row.tenant, row.flow)
    await service.runtime.controls.migrate(row.id, plan)
    return await _accepted(service, request, row.id)


@operation({200: DifferenceAnswer})
async def difference(service: Service, request: Request) -> Reply:
    """`GET /api/v1/executions/{id}/difference/{other}`: the steps that came to something else."""
    row = await _own(service, request)
    other = await service.runtime.history.find(ExecutionId(request.param("other")), request.tenant)
    steps = await service.runtime.history.difference(row.id, other.id)
    return Reply(DifferenceAnswer(row.id, other.id, tuple(steps)))


@operation({200: ProofAnswer}, refuses=("journal-mismatch",))
async def replay(service: Service, request: Request) -> Reply:
    """`POST /api/v1/executions/{id}/replay`: whether every decision can be derived again."""
    row = await _own(service, request)
    return Reply(views.proof(await service.runtime.history.replay(row.id, request.tenant)))


async def _own(service: Service, request: Request) -> Execution:
    return await service.runtime.history.find(ExecutionId(request.param("id")), request.tenant)


async def _accepted(service: Service, request: Request, execution: ExecutionId) -> Reply:
    row = await service.runtime.history.find(execution, request.tenant)
    return Reply(views.execution(row, request.trace_id), 202, (_location(execution),))


# The parts of executing.


async def _keyed(
    service: Service, request: Request, body: ExecuteRequest, key: str
) -> tuple[ExecutionId, Plan]:
    """The execution that a key stands for, and its plan: begun now, or ended before. Raises `Refused`.

    Whether the key is a new one says the store as it refuses to begin the execution again.
    """
    try:
        try:
            plan = await _plan(service, request.tenant, body)
            execution, begun = await _begin(service, request, body, plan, key)
        except StrataError as error:
            # Whatever is deployed meanwhile: the key stands for what it has begun.
            plan = await _first_plan(service, request.tenant, body, key, error)
            execution, begun = await _begin(service, request, body, plan, key)
    except Conflict as error:
        raise Refused("idempotency-key-reused", error.message, hint=error.hint or "") from error
    if not begun:
        known = await service.runtime.history.find(execution)
        _check_workflow(known, body, key)
        if known.status not in ENDED:
            raise _in_flight(known)
    return execution, plan


async def _first_plan(
    service: Service, tenant: Tenant, body: ExecuteRequest, key: str, error: StrataError
) -> Plan:
    """The plan of the execution that this key stands for. Raises `error` where it stands for none yet."""
    try:
        known = await service.runtime.history.find(derived_execution_id(tenant, key))
    except NotFound:
        raise error from None
    _check_workflow(known, body, key)
    if body.options.plan is not None:
        raise error
    return await service.runtime.flows.plan(known.plan)


def _check_workflow(known: Execution, body: ExecuteRequest, key: str) -> None:
    if known.flow != body.workflow_id:
        message = f"the key '{key}' was used for workflow '{known.flow}': {known.id}"
        raise Refused("idempotency-key-reused", message, hint="use a new key for another workflow")


async def _begin(
    service: Service, request: Request, body: ExecuteRequest, plan: Plan, key: str
) -> tuple[ExecutionId, bool]:
    wished = wishes(body.options.cache, enabled=body.options.enable_cache)
    return await service.runtime.begin(_wanted(request, body, plan, key, wished))


async def _plan(service: Service, tenant: Tenant, body: ExecuteRequest) -> Plan:
    """The plan to run: the pinned one, or what is deployed."""
    if body.options.plan is not None:
        return await _pinned(service, tenant, Digest(body.options.plan), body.workflow_id)
    _, plan = await service.runtime.flows.deployed(tenant, FlowId(body.workflow_id))
    return plan


async def _pinned(service: Service, tenant: Tenant, digest: Digest, flow: str) -> Plan:
    deployed, plan = await service.runtime.flows.deployed(tenant, FlowId(flow))
    if deployed.plan == digest:
        return plan
    try:
        return await service.runtime.flows.plan(digest)
    except NotFound:
        raise refused_at(
            "/options/plan",
            "invalid-request",
            f"no plan {digest[:12]}… is kept here",
            f"the plan of '{flow}' that runs now is {deployed.plan}",
        ) from None


def _wanted(
    request: Request, body: ExecuteRequest, plan: Plan, key: str | None, wished: Wishes
) -> StartExecution:
    options, place = body.options, request.place
    return StartExecution(
        plan=plan,
        input=body.input,
        flow=FlowId(body.workflow_id),
        tenant=request.tenant,
        key=key,
        seed=None if options.seed is None else str(options.seed),
        timeout=None if options.timeout_seconds is None else int(options.timeout_seconds * SECOND),
        trace=request.trace_id,
        span="" if place is None else place.span,
        sampled=None if place is None else place.sampled,
        budget=_budget(options.budget),
        queue=None if options.mode == "async" else options.queue_seconds,
        scope=wished.scope,
        fresh=not wished.read,
        wished=wished.wished,
        routing=body.routing,
        tags=options.tags,
    )


def wishes(cache: CacheOptions, *, enabled: bool) -> Wishes:
    """What of earlier answers the caller wants."""
    return Wishes(
        read=enabled and cache.read,
        keep=enabled and cache.keep,
        max_age=None if cache.max_age_seconds is None else cache.max_age_seconds * SECOND,
        threshold=cache.threshold,
        scope=cache.scope,
        tags=cache.tags,
    )


def _budget(wish: BudgetWish | None) -> Budget | None:
    return None if wish is None else Budget(wish.usd, wish.tokens)


def _in_flight(known: Execution) -> Refused:
    return Refused(
        "in-flight",
        f"execution {known.id} was started with this key and is {known.status}",
        hint=f"ask for it: GET {_path(known.id)}",
        headers=(_location(known.id),),
    )


async def _outcome(
    service: Service, request: Request, row: Execution, plan: Plan, manner: Manner, verdict: Verdict = _KEYED
) -> Reply:
    decided = plan.router and verdict.outcome != "hit"
    routing = views.routing((await service.runtime.history.journal(row.id)).events) if decided else ()
    cache = views.cache(verdict)
    answer = views.execution(row, request.trace_id, routing, reuse=cache, coalesced=verdict.coalesced)
    if verdict.outcome != "hit" and not verdict.coalesced:
        answer = views.queued(answer, _waited(service, row.id))
    if row.status in ENDED:
        return Reply(answer, 200, manner.headers)
    return Reply(answer, 202, (_location(row.id), *manner.headers))


def _waited(service: Service, execution: ExecutionId) -> float:
    return 0.0 if service.gate is None else service.gate.waited(execution)


def manner_of(options: Options, prefer: str | None, longest: float | None = None) -> Manner:
    """How long to wait: what the body says, unless the `Prefer` header (RFC 7240) says otherwise.

    A wait may be as long as the body allows, or `longest` seconds.
    """
    limit = PATIENCE if options.timeout_seconds is None else options.timeout_seconds + GRACE
    manner = Manner(0.0 if options.mode == "async" else limit)
    for preference in () if prefer is None else prefer.lower().split(","):
        wanted = preference.strip()
        wait = _WAIT.fullmatch(wanted)
        if wanted == "respond-async":
            manner = Manner(0.0, "respond-async")
        elif wait is not None and int(wait[1]) <= (manner.patience if longest is None else longest):
            manner = Manner(float(wait[1]), wanted)
    return manner


def key_of(request: Request) -> str | None:
    """The `Idempotency-Key` of a request. Raises `Refused` for one that cannot be."""
    key = request.header(b"idempotency-key")
    if key is not None and _KEY.fullmatch(key) is None:
        raise Refused(
            "malformed-request",
            "the Idempotency-Key is not 1 to 255 printable ASCII characters",
            hint="a UUID is a good key",
        )
    return key


def _path(execution: ExecutionId) -> str:
    return f"/api/v1/executions/{execution}"


def _location(execution: ExecutionId) -> tuple[bytes, bytes]:
    return (b"location", _path(execution).encode())
