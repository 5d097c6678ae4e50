"""A journal begun anew: the same facts up to a point, and from there another way.

A fork is a run of its own, with a journal of its own. Facts that its run does not expect,
because something before them is different, are left out; what they would have answered is
owed again. Must never know: where journals are kept, or how a run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from stratarouter_runtime.errors import InvalidState
from stratarouter_runtime.ids import StepPath
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.course import Course, Told
from stratarouter_runtime.state.events import (
    Answered,
    Budget,
    Event,
    Failed,
    Interrupted,
    Record,
    Returned,
    Scored,
    Started,
    TimerFired,
    brief,
)
from stratarouter_runtime.state.leaves import Flight
from stratarouter_runtime.tcfp.plan import Plan

Fact: TypeAlias = Returned | Failed | Interrupted | Scored | Answered | TimerFired
"""What can be taken over: a fact that came from outside, for a step."""


_UNDO: Final = "/undo"


class Change(Struct, frozen=True):
    """What is to be different: another input, or another output of `step`.

    The step is named by its path or its name, in a round with it: `brief[7]`. With a step and no output, the step is run again. With no step at all, what succeeded is
    kept and what failed is tried again: a failed `each` goes on with the items it lacks. What was
    undone when it failed is done again: a booking that was dropped is there no more. A
    `budget` counts what was spent on what is kept, too.
    """

    step: str | None = None
    input: Any | UnsetType = UNSET
    output: Any | UnsetType = UNSET
    budget: Budget | None = None


class Forked(Struct, frozen=True):
    """A run that has taken over the facts it could: `kept` from outside, and what follows from them.

    The commands of `first` are those that are owed.
    """

    course: Course
    first: Told
    kept: int


def fork(
    plan: Plan,
    records: Sequence[Record],
    execution: str,
    at: int,
    change: Change,
    deadline: int | None = None,
) -> Forked:
    """A fork of the journal `records` under the id `execution`, which begins `at`.

    It begins now and not when the other did: its limits of time, and its `deadline`, are its own.
    Raises `InvalidInput` where the new input does not fit, `InvalidState` where the journal has no
    result of the step.
    """
    events = [decode(record.body) for record in records]
    started = events[0]
    assert isinstance(started, Started)
    if change.input is not UNSET:
        started = replace(started, input=change.input)
    if change.budget is not None:
        started = replace(started, budget=change.budget)
    change = _found(plan, change, events)
    started = replace(
        started, id=execution, plan=plan.digest, forked=started.id, deadline=deadline, parent=None
    )
    begun = _Fork(plan, started, at)
    for event in _facts(events[1:], change):
        begun.take(event)
    return begun.done()


def _found(plan: Plan, change: Change, events: Sequence[Event]) -> Change:
    """The change with its step by its path. Raises `InvalidState` where no single step is meant."""
    answered = sorted({event.step for event in events if isinstance(event, Returned | Failed | Answered)})
    if change.step is None or change.step in answered:
        return change
    names = {op.path: op.name for op in plan.ops}
    named = {path: _called(path, names) for path in answered}
    found = [path for path, name in named.items() if name == change.step]
    if len(found) == 1:
        return replace(change, step=found[0])
    told = ", ".join(f"{name} ({path})" for path, name in named.items())
    raise InvalidState(
        f"the journal has no result of step '{change.step}'"
        if not found
        else f"'{change.step}' is the name of several steps: name one by its path",
        hint=f"steps that reach outside have one; here: {told or 'none'}",
    )


def _called(path: StepPath, names: Mapping[str, str]) -> str:
    """What people call a step: `charge`, or `brief[7]` in round 7."""
    step, bracket, rounds = path.partition("[")
    return names.get(step, step) + bracket + rounds


def _facts(events: Sequence[Event], change: Change) -> Iterator[Fact]:  # noqa: C901 - one case a kind of fact
    """The facts to take over, in order.

    What was said of a call that was interrupted is taken for what it came to: without the
    interruption, nobody has asked.
    """
    doubted: set[StepPath] = set()
    undone = _undone(events) if change.step is None else ()
    for event in events:
        match event:
            case Returned() | Answered() if any(_belongs(event.step, undo) for undo in undone):
                pass
            case Returned() | Failed() | Answered() if event.step == change.step:
                if change.output is not UNSET:
                    yield _changed(event, change.output, doubted=event.step in doubted)
                return
            case Returned() | Scored() | Answered() | TimerFired(timer="ask"):
                yield event
            case Failed() | TimerFired() if change.step is not None:
                yield event
            case Interrupted():
                doubted.add(event.step)
                if change.step not in {None, event.step}:
                    yield event
            case _:
                pass


def _undone(events: Sequence[Event]) -> set[StepPath]:
    """The undos that were done: what they took back is there no more, and cannot be kept."""
    return {event.step for event in events if isinstance(event, Returned) and _UNDO in event.step}


def _belongs(step: StepPath, undo: StepPath) -> bool:
    """Whether a step is what an undo took back, or stands below it, in the same rounds."""
    at, _, rounds = step.partition("[")
    above = undo.partition(_UNDO)[0]
    inside = at == above or at.startswith(f"{above}/")
    around = undo.partition("[")[2].rstrip("]")
    return inside and f"{rounds.rstrip(']')},".startswith(f"{around}," if around else "")


def _changed(event: Returned | Failed | Answered, output: Any, *, doubted: bool) -> Fact:
    if isinstance(event, Answered):
        return replace(event, value={"happened": True, "output": output} if doubted else output)
    return Returned(event.step, event.input, output, event.attempt)


class _Fork:
    def __init__(self, plan: Plan, started: Started, at: int) -> None:
        self._course, self._told = Course.begin(plan, started, at)
        self._kept = 0

    def take(self, event: Fact) -> None:
        """Take a fact over, if the run expects it: without the failures before it, an attempt is the first."""
        frame = self._course.run.live.get(event.step)
        match event:
            case _ if frame is None:
                return
            case Answered() if isinstance(frame.memory, Flight) and not frame.memory.doubtful:
                if not event.value["happened"]:
                    return
                event = Returned(event.step, brief(frame.memory.digest), event.value["output"], frame.attempt)
            case Answered():
                pass
            case _:
                event = replace(event, attempt=frame.attempt)
        if self._course.take(event, self._course.ledger.at, self._told) is None:
            self._kept += 1

    def done(self) -> Forked:
        """What has come of it."""
        self._told.commands = self._course.owed.commands()
        return Forked(self._course, self._told, self._kept)
