"""A call with side effects that was under way when its process ended: what becomes of it.

Its agent says so by `on_crash`: it fails, it is made again, or a person is asked whether it
happened. Its declared cost counts as spent in each case, since it may have been; a call
made again is reserved anew, and has the whole time of an attempt. Must never know: how
anybody finds out that a process has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.state.commands import AwaitAnswer, Write
from stratarouter_runtime.state.events import Asked, Failure
from stratarouter_runtime.state.leaves import Flight, emit, fulfilled, land
from stratarouter_runtime.state.run import Dispatch, Fail
from stratarouter_runtime.state.scopes import deadline_of
from stratarouter_runtime.state.unwinding import keep_limit, withdraw
from stratarouter_runtime.tcfp.digests import crash_policy
from stratarouter_runtime.tcfp.plan import Ask
from stratarouter_runtime.tcfp.relations import optional
from stratarouter_runtime.tcfp.types import BOOL, Type, record
from stratarouter_runtime.tcfp.types import show as type_text
from stratarouter_runtime.tcfp.values import Misfit, checker, to_json

if TYPE_CHECKING:
    from stratarouter_runtime.state.events import Answered
    from stratarouter_runtime.state.run import Frame, Run
    from stratarouter_runtime.tcfp.plan import Value


def in_doubt(frame: Frame) -> bool:
    """Whether a person is asked if the frame's call happened."""
    return isinstance(frame.memory, Flight) and frame.memory.doubtful


def interrupted(run: Run, frame: Frame) -> None:
    """The call was under way, and nobody knows whether it took effect: act as its agent says."""
    flight: Flight = frame.memory
    land(run, frame, None)
    match crash_policy(flight.agent.signature):
        case "fail":
            frame.outstanding -= 1
            name = flight.agent.name
            message = f"the process ended while {name} was at work: whether it took effect is not known"
            run.agenda.append(Fail(frame, Failure("agent.unavailable", message, None, frame.path)))
        case "retry":
            _settle_down(run, frame)
            run.outgoing.append(Dispatch(frame))
        case "ask":
            _settle_down(run, frame)
            _ask(run, frame, flight)


def _settle_down(run: Run, frame: Frame) -> None:
    """Nothing is under way any more but the limit of time of the step itself."""
    withdraw(run, frame)
    keep_limit(run, frame)


def _ask(run: Run, frame: Frame, flight: Flight) -> None:
    flight.doubtful = True
    asked = Asked(
        frame.path,
        deadline_of(frame) or 0,
        type_text(verdict_type(flight.agent.output.type)),
        show=flight.input,
        attempt=frame.attempt,
        interrupted=flight.agent.name,
    )
    run.commands.append(Write(asked))
    run.asking.add(frame.path)
    emit(run, frame, AwaitAnswer(frame.path))


def judged(run: Run, frame: Frame, event: Answered) -> None:
    """Somebody said whether it happened: succeed with what it came to, or make the call again."""
    flight: Flight = frame.memory
    flight.doubtful = False
    frame.outstanding -= 1
    run.asking.discard(frame.path)
    if event.value["happened"]:
        fulfilled(run, frame, flight.agent.output.project(event.value["output"]))
    else:
        run.outgoing.append(Dispatch(frame))


def verdict_type(output: Type) -> Type:
    """What is asked of a call whose agent gives `output`: `{happened: bool, output: T?}`."""
    return record({"happened": BOOL, "output": optional(output)})


def answer_of(frame: Frame, value: Value) -> Value:
    """A value for the question of a frame that waits for an answer, in the form a journal keeps.

    Raises `Misfit` where it is not of the type asked for; of a call that happened the output
    is needed, and of one that did not there is none.
    """
    if isinstance(frame.op.does, Ask):
        wanted = frame.op.does.answer
        return to_json(wanted.type, wanted.project(value))
    output = frame.memory.agent.output
    wanted = checker(verdict_type(output.type))
    verdict = wanted.project(value)
    if verdict["happened"]:
        try:
            verdict["output"] = output.project(verdict["output"])
        except Misfit as misfit:
            misfit.below("output")
            raise
    elif verdict["output"] is not None:
        raise Misfit("a call that did not happen has no output", pointer="/output")
    return to_json(wanted.type, verdict)
