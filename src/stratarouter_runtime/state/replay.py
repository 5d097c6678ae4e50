"""A journal back into a run: every decision is derived again, and compared.

Recovery and proof are the same walk. Each record must be the next of its hash chain; each
fact that came from outside must be one the run was waiting for, with the input the plan
gives; each fact that follows from the plan must follow again, to the byte. Must never
know: where records come from, agents, clocks.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stratarouter_runtime.errors import JournalMismatch
from stratarouter_runtime.state.codec import decode, encode
from stratarouter_runtime.state.commands import Write
from stratarouter_runtime.state.course import Course
from stratarouter_runtime.state.decide import begin
from stratarouter_runtime.state.events import Migrated, Started
from stratarouter_runtime.state.ledger import Ledger
from stratarouter_runtime.tcfp.values import Misfit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.events import Event, Record
    from stratarouter_runtime.state.outstanding import Outstanding
    from stratarouter_runtime.state.run import Run
    from stratarouter_runtime.state.snapshot import Restored
    from stratarouter_runtime.tcfp.plan import Plan

_OTHER_PLAN: Final = (
    "the journal and the plan do not belong together: usually the flow, or a signature it uses, "
    "changed since the execution began; replay it with the plan it was started with"
)


_MIGRATED: Final = b'{"t":"migrated"'

_NO_OTHERS: Final[Mapping[Digest, Plan]] = {}


class Retold(Struct, frozen=True):
    """A run on another plan: the state, what is owed, and the facts that follow next."""

    run: Run
    owed: Outstanding
    due: tuple[Event, ...]


class Replayed(Struct, frozen=True):
    """A run brought back: the state, where its journal stands, and what the shell owes it."""

    run: Run
    ledger: Ledger
    outstanding: Outstanding

    @property
    def owed(self) -> tuple[Command, ...]:
        """What the shell owes it, in the order it was asked for."""
        return tuple(self.outstanding.commands())


def replay(plan: Plan, records: Sequence[Record], others: Mapping[Digest, Plan] = _NO_OTHERS) -> Replayed:
    """Derive a run from its journal; `others` are further plans that the journal names (`plans_of`).

    Raises `JournalMismatch` that names the first record that does not follow, what it says,
    and what the plan says instead.
    """
    if not records:
        raise JournalMismatch("the journal is empty", hint="the execution was never accepted")
    ledger, plans = Ledger(), {**others, plan.digest: plan}
    ledger.check(records[0])
    walk = _Walk(Course(_first(plan, plans, records[0]), ledger))
    walk.decide()
    for record in records[1:]:
        event = walk.read(record)
        if isinstance(event, Migrated):
            walk = _moved(walk, plans, record, event, records)
        else:
            walk.take(record, event)
    return walk.end()


def retold(plan: Plan, records: Sequence[Record]) -> Retold:
    """The run that a journal makes on another plan than it was written with.

    Raises `JournalMismatch` for the first record that does not follow from it.
    """
    started = decode(records[0].body)
    assert isinstance(started, Started)
    walk = _Walk(Course(_begun(plan, started, records[0]), Ledger()))
    walk.decide()
    for record in records[1:]:
        event = decode(record.body)
        if not isinstance(event, Migrated):
            walk.take(record, event)
    return Retold(walk.course.run, walk.course.owed, tuple(walk.due))


def plans_of(records: Sequence[Record]) -> tuple[Digest, ...]:
    """The plans that a journal names: the one it began with, and those it went on with."""
    named = [record for record in records if record.seq == 0 or record.body.startswith(_MIGRATED)]
    events = [decode(record.body) for record in named]
    return tuple(event.plan for event in events if isinstance(event, Started | Migrated))


def replay_on(restored: Restored, records: Sequence[Record]) -> Replayed:
    """Derive a run from where a snapshot left it, and the records behind that. Raises as `replay`."""
    walk = _Walk(Course(restored.run, restored.ledger, restored.owed))
    for record in records:
        walk.take(record, walk.read(record))
    return walk.end()


class _Walk:
    """Along a journal, record by record. `due` are facts that follow, and have to come next."""

    def __init__(self, course: Course, due: Iterable[Event] = ()) -> None:
        self.course = course
        self.due = deque(due)

    def read(self, record: Record) -> Event:
        self.course.ledger.check(record)
        return decode(record.body)

    def take(self, record: Record, event: Event) -> None:
        if self.due:
            _compare(record, event, self.due.popleft())
            return
        reason = self.course.accept(event, record.at)
        if reason is not None:
            raise _mismatch(record, event, reason)
        self.decide()

    def decide(self) -> None:
        """What follows is due."""
        self.due.extend(each.event for each in self.course.decide() if isinstance(each, Write))

    def on(self, plan: Retold) -> _Walk:
        """The walk on another plan, from the same record on."""
        return _Walk(Course(plan.run, self.course.ledger, plan.owed), plan.due)

    def end(self) -> Replayed:
        if self.due:
            raise JournalMismatch(
                f"the journal ends before {_name(self.due[0])}, which follows from it", hint=_OTHER_PLAN
            )
        return Replayed(self.course.run, self.course.ledger, self.course.owed)


def _moved(
    walk: _Walk, plans: Mapping[Digest, Plan], record: Record, event: Migrated, records: Sequence[Record]
) -> _Walk:
    """On the plan that the execution went on with, where all that was before follows from that too."""
    if walk.due:
        _compare(record, event, walk.due.popleft())
    if event.plan not in plans:
        raise _mismatch(record, event, f"plan {event.plan[:12]}… is not at hand")
    return walk.on(retold(plans[event.plan], records[: record.seq]))


def _first(plan: Plan, plans: Mapping[Digest, Plan], record: Record) -> Run:
    started = decode(record.body)
    if not isinstance(started, Started):
        raise _mismatch(record, started, "a journal begins with the fact that the execution started")
    if started.plan not in plans:
        reason = f"the execution runs plan {started.plan[:12]}…, this is plan {plan.digest[:12]}…"
        raise _mismatch(record, started, reason)
    return _begun(plans[started.plan], started, record)


def _begun(plan: Plan, started: Started, record: Record) -> Run:
    try:
        return begin(plan, started, record.at)
    except Misfit as misfit:
        raise _mismatch(record, started, f"its input does not fit: {misfit}") from misfit


def _compare(record: Record, event: Event, expected: Event) -> None:
    if record.body != encode(expected):
        raise _mismatch(record, event, f"here follows {_name(expected)}: {encode(expected).decode()[:300]}")


def _mismatch(record: Record, event: Event, reason: str) -> JournalMismatch:
    return JournalMismatch(f"record {record.seq} is {_name(event)}, but {reason}", hint=_OTHER_PLAN)


def _name(event: Event) -> str:
    step = getattr(event, "step", None)
    kind = type(event).__name__
    return kind if step is None else f"{kind} of step {step or 'flow'!r}"
