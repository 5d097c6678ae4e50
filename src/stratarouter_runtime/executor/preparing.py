"""What a drive begins with, or goes on from: pure.

Must never know: what is at work, clocks, or how anything is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from stratarouter_runtime.errors import InvalidInput, InvalidState
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.state.commands import CallAgent, SetTimer
from stratarouter_runtime.state.events import Answered
from stratarouter_runtime.state.interruption import answer_of
from stratarouter_runtime.state.scopes import deadline_of
from stratarouter_runtime.tcfp.plan import Call, Route
from stratarouter_runtime.tcfp.values import Misfit

if TYPE_CHECKING:
    from stratarouter_runtime.ids import FlowId
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.events import Started
    from stratarouter_runtime.state.run import Frame, Run
    from stratarouter_runtime.tcfp.plan import Plan


def listed(plan: Plan, flow: FlowId, started: Started, at: int) -> Execution:
    """An execution as the store lists it when it starts."""
    return Execution(ExecutionId(started.id), started.tenant, flow, plan.digest, "running", at, at, 0)


def afresh(run: Run, command: Command, now: int) -> Command:
    """A call that is made again has the whole time of an attempt, however long nobody was at work."""
    frame = run.live.get(command.step) if isinstance(command, CallAgent | SetTimer) else None
    if frame is None or frame.op.time is None or not isinstance(frame.op.does, Call | Route):
        return command
    at = now + frame.op.time
    match command:
        case SetTimer(timer="attempt"):
            return replace(command, at=at)
        case CallAgent():
            scopes = deadline_of(frame)
            return replace(command, deadline=at if scopes is None else min(at, scopes))
        case _:
            return command


def answered(run: Run, step: str, value: Any, by: str) -> Answered:
    """The answer to the question of a step, named by its path or its name.

    Raises `InvalidState` where the step has not asked, `InvalidInput` for a wrong type.
    """
    frame = asking(run, step)
    try:
        return Answered(frame.path, answer_of(frame, value), by)
    except Misfit as misfit:
        raise InvalidInput(f"the answer does not fit: {misfit}", pointer=misfit.pointer) from misfit


def asking(run: Run, step: str) -> Frame:
    """The frame that waits for an answer, named by its path or its name. Raises `InvalidState`."""
    frames = [run.live[path] for path in sorted(run.asking)]
    found = [frame for frame in frames if step in {frame.path, frame.op.name}]
    if len(found) == 1:
        return found[0]
    asking = ", ".join(f"{frame.op.name} ({frame.path})" for frame in frames) or "none"
    raise InvalidState(
        f"no single step '{step}' waits for an answer", hint=f"steps that have asked: {asking}"
    )
