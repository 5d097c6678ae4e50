"""The pure core: facts in, commands out.

    run = begin(plan, started, at)     the first fact
    commands = decide(run)             what the shell must do now
    accept(run, fact, at)              a fact; or why the run does not expect it
    commands = decide(run)             ... until run.finished

`decide` works off the agenda, so it costs what the fact changed. Every command is a
function of plan, input and facts. Must never know: clocks, storage, agents, asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from stratarouter_runtime.state import interruption, leaves, routes
from stratarouter_runtime.state.events import (
    BRIEF,
    Answered,
    Asked,
    CancelRequested,
    Chosen,
    Dispatched,
    Event,
    Failed,
    Failure,
    Finished,
    Interrupted,
    Migrated,
    Returned,
    Scored,
    Started,
    TimerFired,
)
from stratarouter_runtime.state.leaves import Flight, Question, Scoring
from stratarouter_runtime.state.run import (
    Admit,
    Begin,
    Dispatch,
    Fail,
    Frame,
    Open,
    Phase,
    Run,
    Succeed,
    Task,
    Win,
)
from stratarouter_runtime.state.steps import begin_attempt, open_frame, succeed
from stratarouter_runtime.state.unwinding import fail, resume, stumble, win
from stratarouter_runtime.tcfp.durations import format_duration
from stratarouter_runtime.tcfp.expressions import ExpressionFailed
from stratarouter_runtime.tcfp.times import time_text
from stratarouter_runtime.tcfp.values import Misfit

if TYPE_CHECKING:
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.tcfp.plan import Environment, Plan

OfStep: TypeAlias = Returned | Failed | Interrupted | Scored | Answered | TimerFired
"""A fact from outside about one step."""


def begin(plan: Plan, started: Started, at: int) -> Run:
    """A run of `plan` on the input of `started`, at its first moment.

    Raises `values.Misfit` where the input does not fit the plan.
    """
    run = Run(plan, started, at)
    given = plan.input.project(started.input)
    facts = {"id": started.id, "seed": started.seed, "started": time_text(at)}
    slots = [facts, *(given[name] for name in plan.inputs)]
    slots += [None] * (plan.size - len(slots))
    env: Environment = (slots,)
    run.agenda.append(Open(plan.ops[0], None, "flow", env, (), None))
    return run


def decide(run: Run) -> list[Command]:
    """Work off the agenda; return what the shell must do, in order.

    What a task puts on the agenda comes before what stood there, so that steps are reached
    in written order, however deep they are. Calls are made when all else is settled.
    """
    agenda, outgoing = run.agenda, run.outgoing
    stack: list[Task | Dispatch | Admit] = []
    while run.finished is None:
        if agenda:
            stack += reversed(agenda)
            agenda.clear()
        if stack:
            _work(run, stack.pop())
        elif outgoing:
            _work(run, outgoing.popleft())
        else:
            break
    commands, run.commands = run.commands, []
    return commands


def _work(run: Run, task: Task | Dispatch | Admit) -> None:
    match task:
        case Open():
            open_frame(run, task)
        case Begin():
            begin_attempt(run, task)
        case Dispatch():
            leaves.dispatch(run, task.frame)
        case Admit():
            leaves.admit(run, task.scope)
        case Succeed():
            succeed(run, task)
        case Win():
            win(run, task)
        case Fail():
            fail(run, task)


def unexpected(run: Run, event: Event) -> str | None:
    """Why this fact does not fit the run at this moment, or None where it does.

    The shell drops facts that came too late; in a journal there are none.
    """
    if run.finished is not None:
        return "the execution has finished"
    match event:
        case CancelRequested():
            return None
        case Returned() | Failed() | Interrupted() | Scored() | Answered() | TimerFired():
            frame = run.live.get(event.step)
            if frame is None:
                return f"step {event.step or 'flow'!r} is not waiting for anything"
            return _unfit(frame, event)
        case Migrated():
            return "another plan is another run: see migration"
        case Started() | Dispatched() | Chosen() | Asked() | Finished():
            return f"a fact of kind {type(event).__name__} follows from the plan and cannot come from outside"


def _unfit(frame: Frame, event: OfStep) -> str | None:
    name = frame.op.name
    match event:
        case Answered():
            asks = isinstance(frame.memory, Question) or interruption.in_doubt(frame)
            return None if asks else f"{name} has not asked for anything"
        case TimerFired():
            return _unfit_timer(frame, event)
        case _ if event.attempt != frame.attempt:
            return f"{name} is at attempt {frame.attempt}, not {event.attempt}"
        case Returned() | Failed():
            return _unfit_answer(frame, event)
        case Interrupted():
            return _unfit_interruption(frame)
        case Scored():
            if isinstance(frame.memory, Scoring):
                return _other("query", name, frame.memory.digest, event.query)
            return f"{name} is not waiting for scores"


def _unfit_answer(frame: Frame, event: Returned | Failed) -> str | None:
    memory = frame.memory
    if isinstance(memory, Scoring) and isinstance(event, Failed):
        return _other("query", frame.op.name, memory.digest, event.input)
    if isinstance(memory, Flight) and memory.flying:
        return _other("input", frame.op.name, memory.digest, event.input)
    return f"{frame.op.name} is not waiting for an agent"


def _unfit_interruption(frame: Frame) -> str | None:
    memory = frame.memory
    if not isinstance(memory, Flight) or not memory.flying:
        return f"{frame.op.name} is not waiting for an agent"
    if memory.agent.signature.effect != "effect":
        return f"{memory.agent.name} has no side effects: after a crash it is simply called again"
    return None


def _other(what: str, name: str, here: str, there: str) -> str | None:
    if len(there) >= BRIEF and here.startswith(there):
        return None
    return f"{name} has another {what}: {here[:12]}… by the plan, {there[:12]}… by the fact"


def _unfit_timer(frame: Frame, event: TimerFired) -> str | None:
    match event.timer:
        case "attempt" if event.attempt == frame.attempt and _at_work(frame):
            return None
        case "retry" if event.attempt == frame.attempt and frame.phase is Phase.BACKOFF:
            return None
        case "ask" if isinstance(frame.memory, Question) and event.attempt == frame.attempt:
            return None
        case "limit" if frame.scope is not None and frame.scope.owner is frame:
            return None
        case _:
            return f"{frame.op.name} has no {event.timer} timer running"


def _at_work(frame: Frame) -> bool:
    """Whether the time of an attempt runs: that of a call only while an agent is at work."""
    return frame.phase is Phase.RUNNING and (not isinstance(frame.memory, Flight) or frame.memory.flying)


def accept(run: Run, event: Event, at: int) -> str | None:
    """Take in a fact from outside, which happened `at`; or why the run does not expect it (see `unexpected`).

    Then nothing has changed.
    """
    reason = unexpected(run, event)
    if reason is not None:
        return reason
    run.now = max(run.now, at)
    if isinstance(event, CancelRequested):
        assert run.root is not None
        message = event.reason or f"cancelled by {event.by or 'request'}"
        run.agenda.append(Fail(run.root, Failure("cancelled", message)))
        return None
    assert isinstance(event, OfStep)
    frame = run.live[event.step]
    try:
        _reach(run, frame, event)
    except (ExpressionFailed, Misfit) as error:
        stumble(run, frame, error)
    return None


def _reach(run: Run, frame: Frame, event: OfStep) -> None:  # noqa: C901 - one case a kind of fact
    match event:
        case Returned():
            leaves.returned(run, frame, event)
        case Failed():
            leaves.failed(run, frame, event)
        case Scored():
            routes.scored(run, frame, event)
        case Interrupted():
            interruption.interrupted(run, frame)
        case Answered() if interruption.in_doubt(frame):
            interruption.judged(run, frame, event)
        case Answered():
            leaves.answered(run, frame, event)
        case TimerFired(timer="ask"):
            leaves.unanswered(run, frame)
        case TimerFired(timer="retry"):
            frame.outstanding -= 1
            resume(run, frame)
        case TimerFired():
            frame.outstanding -= 1
            run.agenda.append(Fail(frame, _late(frame, event), final=event.timer == "limit"))


def _late(frame: Frame, event: TimerFired) -> Failure:
    if event.timer == "attempt":
        took = format_duration(frame.op.time or 0)
        return Failure("timeout", f"{frame.op.name} took longer than {took}", None, frame.path)
    name = "the flow" if frame.parent is None else frame.op.name
    return Failure("limit.time", f"{name} took longer than it may", None, frame.path)
