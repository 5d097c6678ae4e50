"""The end of an execution: the last fact of its journal.

Must never know: what led there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stratarouter_runtime.state.commands import Write
from stratarouter_runtime.state.events import Failure, Finished, Usage
from stratarouter_runtime.state.scopes import NANO
from stratarouter_runtime.tcfp.values import Misfit, to_json

if TYPE_CHECKING:
    from stratarouter_runtime.state.run import Run
    from stratarouter_runtime.tcfp.plan import Value


def complete(run: Run, value: Value) -> None:
    """End with the value of the flow, brought to its declared type."""
    try:
        output = to_json(run.plan.output.type, run.plan.output.project(value))
    except Misfit as misfit:
        finish(run, Failure("type", f"the output of the flow does not fit: {misfit}"))
        return
    _write(run, Finished("completed", output=output, usage=_usage(run)))


def finish(run: Run, failure: Failure) -> None:
    """End with a failure that nobody caught."""
    _write(run, Finished(_status(failure.kind), None, failure, tuple(run.undo_failed), _usage(run)))


def _status(kind: str) -> Literal["failed", "cancelled", "timed_out"]:
    match kind:
        case "cancelled":
            return "cancelled"
        case "limit.time":
            return "timed_out"
        case _:
            return "failed"


def _usage(run: Run) -> Usage:
    return Usage(run.nanousd / NANO, run.tokens_in, run.tokens_out, round(run.ms, 3))


def _write(run: Run, finished: Finished) -> None:
    run.finished = finished
    run.commands.append(Write(finished))
    _let_go(run)


def _let_go(run: Run) -> None:
    """Part the whole from its account, which hold each other: else only the collector of cycles frees a run."""
    root = run.root
    if root is not None and root.scope is not None:
        root.scope.chain = ()
        root.scope = None
