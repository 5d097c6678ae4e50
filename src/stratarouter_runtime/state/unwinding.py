"""How a failure leaves a step: halt what is active, undo what was completed, then decide.

Undos run one after the other, in reverse order of completion, before anything else: then
the step is retried, a handler catches the failure, or the parent gets it. Must never
know: what the operators do, save how a parent takes a child's failure.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from stratarouter_runtime.state import retry
from stratarouter_runtime.state.commands import SetTimer, Withdraw
from stratarouter_runtime.state.ending import finish
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.state.leaves import emit, forget, land
from stratarouter_runtime.state.machine import Happening, move
from stratarouter_runtime.state.operators import child_failed
from stratarouter_runtime.state.run import Begin, Fail, Open, Phase, Succeed, Won
from stratarouter_runtime.tcfp.expressions import ExpressionFailed

if TYPE_CHECKING:
    from stratarouter_runtime.state.run import Frame, Run, Undo, Win
    from stratarouter_runtime.tcfp.plan import Handler
    from stratarouter_runtime.tcfp.values import Misfit

_completion = attrgetter("completed")


def withdraw(run: Run, frame: Frame) -> None:
    """Nothing that is under way for this frame matters any more."""
    if frame.outstanding:
        frame.outstanding = 0
        run.commands.append(Withdraw(frame.path))
    run.live.pop(frame.path, None)
    run.asking.discard(frame.path)


def fail(run: Run, task: Fail) -> None:
    """A failure reached a frame. One that is unwinding already goes on with that."""
    frame = task.frame
    if not frame.live or frame.phase is Phase.UNWINDING:
        return
    frame.handled = frame.phase is Phase.HANDLING
    frame.final = task.final
    move(frame, Happening.FAIL)
    frame.outcome = task.failure
    land(run, frame, None)
    withdraw(run, frame)
    forget(frame)
    frame.undos.extend(_halt_children(run, frame))
    frame.undos.sort(key=_completion)
    unwind(run, frame)


def win(run: Run, task: Win) -> None:
    """A branch of a race came first: its own undos are kept, the losers' are run."""
    frame = task.frame
    if frame.phase is not Phase.RUNNING:
        return
    move(frame, Happening.WIN)
    frame.outcome = Won(task.value)
    frame.kept = frame.undos
    frame.undos = sorted(_halt_children(run, frame), key=_completion)
    unwind(run, frame)


def stumble(run: Run, frame: Frame, error: ExpressionFailed | Misfit, *, final: bool = False) -> None:
    """An expression of this frame could not be evaluated, or its value does not fit."""
    kind = "expression" if isinstance(error, ExpressionFailed) else "type"
    run.agenda.append(Fail(frame, Failure(kind, str(error), None, frame.path), final))


def unwind(run: Run, frame: Frame) -> None:
    """Run the next undo; when none is left, go on to what comes after."""
    if frame.undos:
        undo = frame.undoing = frame.undos.pop()
        op = run.plan.ops[undo.op]
        run.agenda.append(Open(op, frame, "undo", undo.env, undo.indices, None))
        return
    frame.undoing = None
    match frame.outcome:
        case Won(value):
            frame.undos = frame.kept
            run.agenda.append(Succeed(frame, value))
        case Failure() as failure:
            _after_failure(run, frame, failure)
        case None:
            raise AssertionError("a frame unwinds towards an outcome")


def _after_failure(run: Run, frame: Frame, failure: Failure) -> None:
    again = not (frame.handled or frame.final)
    if again and retry.retries(frame.op.retry, failure.kind, frame.attempt):
        _back_off(run, frame)
        return
    handler = None if frame.handled else _handler(frame, failure.kind)
    if handler is None:
        _escape(run, frame, failure)
        return
    move(frame, Happening.HANDLE)
    error = {"kind": failure.kind, "message": failure.message, "data": failure.data}
    frame.env[frame.op.depth][handler.slot] = error
    outer = frame.scope.outer if frame.scope and frame.scope.owner is frame else frame.scope
    run.agenda.append(Open(run.plan.ops[handler.op], frame, "handler", frame.env, frame.indices, outer))


def _handler(frame: Frame, kind: str) -> Handler | None:
    return next((handler for handler in frame.op.catch if retry.catches(handler.on, kind)), None)


def _back_off(run: Run, frame: Frame) -> None:
    """Wait, then try again. The limit of time of the step itself runs on meanwhile."""
    policy = frame.op.retry
    assert policy is not None
    move(frame, Happening.RETRY)
    delay = retry.wait(policy, run.started.seed, frame.path, frame.attempt)
    keep_limit(run, frame)
    if delay > 0:
        emit(run, frame, SetTimer(frame.path, "retry", frame.attempt, run.now + delay))
    else:
        resume(run, frame)


def keep_limit(run: Run, frame: Frame) -> None:
    """The limit of time of the step itself runs on, after all else of it was withdrawn."""
    scope = frame.scope
    if scope is not None and scope.owner is frame and scope.deadline is not None:
        emit(run, frame, SetTimer(frame.path, "limit", 1, scope.deadline))


def resume(run: Run, frame: Frame) -> None:
    """The wait is over: begin the next attempt."""
    move(frame, Happening.RESUME)
    frame.attempt += 1
    run.agenda.append(Begin(frame))


def _escape(run: Run, frame: Frame, failure: Failure) -> None:
    move(frame, Happening.ESCAPE)
    parent = frame.parent
    if parent is None:
        finish(run, failure)
        return
    del parent.children[id(frame)]
    match frame.role:
        case "undo":
            run.undo_failed.append(failure)
            unwind(run, parent)
        case "handler":
            run.agenda.append(Fail(parent, failure))
        case _:
            child_failed(run, parent, failure)


def _halt_children(run: Run, frame: Frame) -> list[Undo]:
    """End everything active below; what was completed there is left to be undone."""
    undos: list[Undo] = []
    for child in frame.children.values():
        undos += _halt_children(run, child)
        undos += child.undos
        undos += child.kept
        if child.undoing is not None:
            undos.append(child.undoing)
        move(child, Happening.HALT)
        land(run, child, None)
        withdraw(run, child)
    frame.children.clear()
    return undos
