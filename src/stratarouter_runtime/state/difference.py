"""Where two executions went different ways, step by step.

Must never know: why, or which of them is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct, to_builtins

from stratarouter_runtime.state.events import (
    Answered,
    Chosen,
    Event,
    Failed,
    Finished,
    Interrupted,
    Returned,
    Started,
)

_INTERRUPTED: Final = {"interrupted": True}
"""What is said of a call whose process ended, until more is known."""


class Difference(Struct, frozen=True):
    """One step (`""` is the flow itself) with what came of it on either side; None where it did not run."""

    step: str
    left: Any
    right: Any


def difference(left: Sequence[Event], right: Sequence[Event]) -> list[Difference]:
    """All steps whose last result differs, in the order in which they were reached."""
    here, there = _results(left), _results(right)
    steps = [*here, *(step for step in there if step not in here)]
    return [
        Difference(step, here.get(step), there.get(step))
        for step in steps
        if here.get(step) != there.get(step)
    ]


def _results(events: Sequence[Event]) -> dict[str, Any]:  # noqa: C901 - one case a kind of fact
    """What came of each step in the end: its output, its failure, the agent chosen for it."""
    results: dict[str, Any] = {}
    for event in events:
        match event:
            case Started():
                results["input"] = event.input
            case Returned():
                results[event.step] = _with_choice(results, event.step, event.output)
            case Interrupted():
                results[event.step] = _INTERRUPTED
            case Answered() if results.get(event.step) == _INTERRUPTED:
                results[event.step] = _verdict(event.value)
            case Answered():
                results[event.step] = event.value
            case Failed():
                results[event.step] = {"failed": event.failure.kind}
            case Chosen():
                results[event.step] = {"by": event.agent}
            case Finished():
                end = event.output if event.failure is None else to_builtins(event.failure)
                results[""] = {"status": event.status, "result": end}
            case _:
                pass
    return results


def _verdict(value: Any) -> Any:
    """What somebody said of a call that was interrupted: what it came to, where it happened."""
    happened = isinstance(value, dict) and value.get("happened")
    return value.get("output") if happened else _INTERRUPTED


def _with_choice(results: dict[str, Any], step: str, output: Any) -> Any:
    chosen = results.get(step)
    return {**chosen, "out": output} if isinstance(chosen, dict) and "by" in chosen else output
