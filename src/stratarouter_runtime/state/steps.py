"""What holds for every step, whatever its operator: guard, scope, binding, undo, the end.

Must never know: what the operators do; how failures unwind (that is `unwinding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.state.commands import SetTimer
from stratarouter_runtime.state.ending import complete
from stratarouter_runtime.state.leaves import emit
from stratarouter_runtime.state.machine import Happening, move
from stratarouter_runtime.state.operators import child_succeeded, start
from stratarouter_runtime.state.run import Begin, Frame, Open, Phase, Scope, Succeed, Undo, path_of
from stratarouter_runtime.state.scopes import whole_limits
from stratarouter_runtime.state.unwinding import stumble, unwind, withdraw
from stratarouter_runtime.tcfp.expressions import ExpressionFailed
from stratarouter_runtime.tcfp.plan import NONE, Call, Route
from stratarouter_runtime.tcfp.values import Misfit

if TYPE_CHECKING:
    from stratarouter_runtime.state.run import Run
    from stratarouter_runtime.tcfp.plan import Code, Value


def open_frame(run: Run, task: Open) -> None:
    """Make a frame and start it, unless its guard says no."""
    op, parent = task.op, task.parent
    if parent is not None and not _wanted(parent, task.role):
        return
    frame = Frame(op, parent, task.role, task.env, task.indices, path_of(op, task.indices), task.scope)
    if parent is None:
        run.root = frame
    else:
        parent.children[id(frame)] = frame
    if op.guard is not None and not _holds(run, frame, op.guard):
        return
    _open_scope(run, frame)
    run.agenda.append(Begin(frame))


def _wanted(parent: Frame, role: str | int) -> bool:
    """Whether the parent is still in the phase in which it asked for this frame."""
    match role:
        case "undo":
            return parent.phase is Phase.UNWINDING
        case "handler":
            return parent.phase is Phase.HANDLING
        case _:
            return parent.phase is Phase.RUNNING


def _holds(run: Run, frame: Frame, guard: Code) -> bool:
    """Whether the step runs at all; one that does not is null, and leaves no undo."""
    try:
        if guard.run(frame.env):
            return True
    except ExpressionFailed as failed:
        stumble(run, frame, failed, final=True)
        return False
    _end(run, frame, None)
    return False


def _open_scope(run: Run, frame: Frame) -> None:
    """The account of a step with limits; that of the whole flow also knows the caller's deadline."""
    limits, deadline = frame.op.limits, None
    if frame.parent is None:
        limits, deadline = whole_limits(run.plan, run.started), run.started.deadline
    if limits is None:
        return
    if limits.time is not None:
        deadline = min(run.now + limits.time, deadline or run.now + limits.time)
    frame.scope = Scope(frame, frame.scope, limits, deadline)
    if deadline is not None:
        emit(run, frame, SetTimer(frame.path, "limit", 1, deadline))


def begin_attempt(run: Run, task: Begin) -> None:
    """Start an attempt. The time of a leaf runs from its call, that of a block from here."""
    frame = task.frame
    if not frame.live:
        return
    if frame.op.time is not None and not isinstance(frame.op.does, Call | Route):
        emit(run, frame, SetTimer(frame.path, "attempt", frame.attempt, run.now + frame.op.time))
    try:
        start(run, frame)
    except (ExpressionFailed, Misfit) as error:
        stumble(run, frame, error)


def succeed(run: Run, task: Succeed) -> None:
    """Bind the value, leave an undo, and tell the parent."""
    frame = task.frame
    if not frame.live:
        return
    run.completed += 1
    if frame.op.undo != NONE:
        frame.undos.append(Undo(frame.op.undo, frame.env, frame.indices, run.completed))
    _end(run, frame, task.value)


def _end(run: Run, frame: Frame, value: Value) -> None:
    move(frame, Happening.SUCCEED)
    withdraw(run, frame)
    if frame.op.out != NONE:
        frame.env[frame.op.depth][frame.op.out] = value
    parent = frame.parent
    if parent is None:
        complete(run, value)
        return
    del parent.children[id(frame)]
    if frame.role == "undo":
        unwind(run, parent)
        return
    parent.undos.extend(frame.undos)
    if frame.role == "handler":
        run.agenda.append(Succeed(parent, value))
    else:
        _tell(run, parent, frame, value)


def _tell(run: Run, parent: Frame, child: Frame, value: Value) -> None:
    try:
        child_succeeded(run, parent, child, value)
    except (ExpressionFailed, Misfit) as error:
        stumble(run, parent, error)
