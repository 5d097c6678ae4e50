"""The ops that reach outside: call and ask. What they command, and how facts end them.

A call is evaluated, gets a place, is charged to the scopes around it, and only then made.
Must never know: modifiers, or what surrounds the op.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.canonical import digest
from stratarouter_runtime.state.commands import AwaitAnswer, CallAgent, SetTimer, Write
from stratarouter_runtime.state.events import Asked, Dispatched, Failure, Usage
from stratarouter_runtime.state.run import Admit, Dispatch, Fail, Succeed
from stratarouter_runtime.state.scopes import (
    SPENT,
    count_step,
    deadline_of,
    exhaust,
    has_room,
    leave_place,
    left_for,
    reserve,
    settle,
    take_place,
)
from stratarouter_runtime.tcfp.plan import Ask, Call, Route
from stratarouter_runtime.tcfp.types import NO_LABELS, show
from stratarouter_runtime.tcfp.validation.kinds import AGENT as AGENT_KINDS
from stratarouter_runtime.tcfp.values import Misfit, canonical_value, checker, to_json

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.events import Answered, Budget, Failed, Returned
    from stratarouter_runtime.state.run import Frame, Run, Scope
    from stratarouter_runtime.tcfp.plan import Code, LinkedAgent, Value


class Flight(Struct, eq=False):
    """A call being made: kept over attempts, so that each gets the same input.

    `doubtful` while a person is asked whether it happened.
    """

    agent: LinkedAgent
    input: Value
    digest: Digest
    placed: bool = False
    reserved: bool = False
    flying: bool = False
    doubtful: bool = False


class Scoring(Struct, eq=False):
    """A route whose query is being compared with its candidates."""

    query: str
    digest: Digest


class Question(Struct, eq=False):
    """A value somebody was asked for, until `until`."""

    until: int


def emit(run: Run, frame: Frame, command: Command) -> None:
    """Hand out a command whose answer is a fact for this frame."""
    frame.outstanding += 1
    run.live[frame.path] = frame
    run.commands.append(command)


# Calls.


def start_call(run: Run, frame: Frame, does: Call) -> None:
    """Evaluate the input of a call, once for all attempts, and ask for a place."""
    if frame.memory is None:
        if not count_step(run, frame):
            return
        frame.memory = prepare(run.plan.agents[does.agent], does.input.run(frame.env))
    run.outgoing.append(Dispatch(frame))


def prepare(agent: LinkedAgent, value: Value) -> Flight:
    """A call to be made with this input. Raises `Misfit`."""
    given = agent.input.project(value)
    type_ = agent.input.type
    return Flight(agent, to_json(type_, given), digest(canonical_value(type_, given), finite=True))


def admit(run: Run, scope: Scope) -> None:
    """Let the first who waits in a scope make its call, if there is room, and then the next.

    What the call brings about comes in between: it may be refused, and end all others.
    """
    if scope.waiting and has_room(scope):
        run.outgoing.appendleft(Admit(scope))
        dispatch(run, scope.waiting.popleft(), scope)


def dispatch(run: Run, frame: Frame, turn: Scope | None = None) -> None:
    """Make the call, if there is a place and money for it. `turn` is where it has waited."""
    if not frame.live:
        return
    full = take_place(frame, turn)
    if full is not None:
        if has_room(full):  # others wait there, who may have given up by now
            run.outgoing.append(Admit(full))
        return
    flight: Flight = frame.memory
    flight.placed = True
    if not reserve(run, frame, flight.agent.signature.cost):
        return
    flight.reserved = flight.flying = True
    deadline = deadline_of(frame)
    if frame.op.time is not None:
        at = run.now + frame.op.time
        deadline = at if deadline is None else min(at, deadline)
        emit(run, frame, SetTimer(frame.path, "attempt", frame.attempt, at))
    budget = left_for(frame, flight.agent.signature.cost)
    call = calling(run, frame, flight, frame.attempt, deadline, budget)
    if call.guarded:
        run.commands.append(Write(Dispatched(frame.path, frame.attempt)))
    emit(run, frame, call)


def calling(
    run: Run, frame: Frame, flight: Flight, attempt: int, deadline: int | None, budget: Budget | None
) -> CallAgent:
    """The command that has a call made, within what its place in the plan allows."""
    agent, op, allowed = flight.agent, frame.op, frame.op.allowed
    if run.started.allowed is not None:
        outer = run.started.allowed
        allowed = allowed.narrowed(outer.hosts, outer.tools, outer.labels)
    return CallAgent(
        frame.path,
        attempt,
        agent,
        flight.input,
        flight.digest,
        deadline,
        guarded=agent.signature.effect == "effect",
        allowed=allowed,
        carries=op.carries.get(agent.name, NO_LABELS),
        budget=budget,
    )


def land(run: Run, frame: Frame, usage: Usage | None) -> None:
    """The call is over: settle what it took (None: take the reservation for spent), free its place."""
    flight = frame.memory
    if not isinstance(flight, Flight):
        return
    cost = flight.agent.signature.cost
    if flight.reserved:
        settle(run, frame, cost, usage or Usage(cost.usd, cost.tokens))
    if flight.placed:
        for scope in leave_place(frame):
            run.outgoing.append(Admit(scope))
    flight.placed = flight.reserved = flight.flying = flight.doubtful = False


def forget(frame: Frame) -> None:
    """An attempt failed: what it waited for comes too late. The input of a call, and a choice, stay."""
    if not isinstance(frame.memory, Flight):
        frame.memory = None


def returned(run: Run, frame: Frame, event: Returned) -> None:
    """An agent answered: check what it says, and succeed with it."""
    frame.outstanding -= 1
    flight: Flight = frame.memory
    land(run, frame, event.usage)
    try:
        value = flight.agent.output.project(event.output)
    except Misfit as misfit:
        failure = Failure(
            "agent.invalid_output",
            f"{flight.agent.name} returned what does not fit: {misfit}",
            None,
            frame.path,
        )
        run.agenda.append(Fail(frame, failure))
        return
    fulfilled(run, frame, value)


def fulfilled(run: Run, frame: Frame, value: Value) -> None:
    """The call has come to this output: succeed with it, and of a route also with who gave it."""
    if isinstance(frame.op.does, Route):
        value = {"by": frame.memory.agent.name, "out": value}
    run.agenda.append(Succeed(frame, value))


def failed(run: Run, frame: Frame, event: Failed) -> None:
    """An agent, or the scoring of a route, failed: so does the attempt."""
    frame.outstanding -= 1
    failure = event.failure
    if isinstance(frame.memory, Flight):
        exhausted = failure.kind in SPENT and exhaust(run, frame, failure)
        failure = _declared(run, frame.memory.agent, failure)
        land(run, frame, event.usage)
        if exhausted:
            return
    else:
        frame.memory = None
    run.agenda.append(Fail(frame, failure))


def _declared(run: Run, agent: LinkedAgent, failure: Failure) -> Failure:
    """The failure as the flow was told to expect it: of a kind the agent declares, with its data."""
    kind = failure.kind
    if kind in agent.signature.errors and kind in run.plan.errors:
        try:
            return replace(failure, data=run.plan.errors[kind].project(failure.data))
        except Misfit as misfit:
            message = f"{agent.name} failed with {kind}, whose data does not fit: {misfit}"
            return Failure("agent.invalid_output", message, None, failure.step)
    if kind == "timeout" or kind in AGENT_KINDS:
        return replace(failure, data=None)
    message = f"{agent.name} failed with {kind}, which it does not declare: {failure.message}"
    return Failure("agent.unavailable", message, None, failure.step)


# Questions.


def start_ask(run: Run, frame: Frame, does: Ask) -> None:
    """Ask, and wait: for an answer, or for the end of the time."""
    if not count_step(run, frame):
        return
    until = run.now + does.time
    frame.memory = Question(until)
    if not does.sleep:
        shown = None if does.show is None else _shown(does.show, frame)
        asked = Asked(frame.path, until, show(does.answer.type), does.sender, shown, frame.attempt)
        run.commands.append(Write(asked))
        run.asking.add(frame.path)
        emit(run, frame, AwaitAnswer(frame.path))
    emit(run, frame, SetTimer(frame.path, "ask", frame.attempt, until))


def _shown(code: Code, frame: Frame) -> Value:
    """What is shown beside the question, in JSON; a value that JSON cannot hold is a misfit."""
    return to_json(code.type, checker(code.type).project(code.run(frame.env)))


def answered(run: Run, frame: Frame, event: Answered) -> None:
    """Somebody answered in time. The value was checked before it was let in."""
    does = frame.op.does
    assert isinstance(does, Ask)
    frame.outstanding -= 1
    run.asking.discard(frame.path)
    run.agenda.append(Succeed(frame, does.answer.project(event.value)))


def unanswered(run: Run, frame: Frame) -> None:
    """The time is over: take the value for that case, or fail."""
    does = frame.op.does
    assert isinstance(does, Ask)
    frame.outstanding -= 1
    run.asking.discard(frame.path)
    if does.sleep:
        run.agenda.append(Succeed(frame, None))
    elif does.otherwise is not None:
        run.agenda.append(Succeed(frame, does.answer.project(does.otherwise.run(frame.env))))
    else:
        message = f"nobody answered {frame.op.name} in time"
        run.agenda.append(Fail(frame, Failure("timeout", message, None, frame.path)))
