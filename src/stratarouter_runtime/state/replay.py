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
from stratarouter_runtime.state.decide import accept, begin, decide, unexpected
from stratarouter_runtime.state.events import Started
from stratarouter_runtime.state.ledger import Ledger
from stratarouter_runtime.state.outstanding import Outstanding
from stratarouter_runtime.tcfp.values import Misfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.events import Event, Record
    from stratarouter_runtime.state.run import Run
    from stratarouter_runtime.state.snapshot import Restored
    from stratarouter_runtime.tcfp.plan import Plan

_OTHER_PLAN: Final = (
    "the journal and the plan do not belong together: usually the flow, or a signature it uses, "
    "changed since the execution began; replay it with the plan it was started with"
)


class Replayed(Struct, frozen=True):
    """A run brought back: the state, where its journal stands, and what the shell owes it."""

    run: Run
    ledger: Ledger
    outstanding: Outstanding

    @property
    def owed(self) -> tuple[Command, ...]:
        """What the shell owes it, in the order it was asked for."""
        return tuple(self.outstanding.commands())


def replay(plan: Plan, records: Sequence[Record]) -> Replayed:
    """Derive a run from its journal.

    Raises `JournalMismatch` that names the first record that does not follow, what it says,
    and what the plan says instead.
    """
    if not records:
        raise JournalMismatch("the journal is empty", hint="the execution was never accepted")
    ledger = Ledger()
    ledger.check(records[0])
    walk = _Walk(_first(plan, records[0]), ledger, Outstanding())
    walk.decide()
    return walk.along(records[1:])


def replay_on(restored: Restored, records: Sequence[Record]) -> Replayed:
    """Derive a run from where a snapshot left it, and the records behind that. Raises as `replay`."""
    return _Walk(restored.run, restored.ledger, restored.owed).along(records)


class _Walk:
    """Along a journal, record by record."""

    def __init__(self, run: Run, ledger: Ledger, owed: Outstanding) -> None:
        self._run = run
        self._ledger = ledger
        self._owed = owed
        self._due: deque[Event] = deque()

    def along(self, records: Sequence[Record]) -> Replayed:
        for record in records:
            self._ledger.check(record)
            self._take(record, decode(record.body))
        if self._due:
            raise JournalMismatch(
                f"the journal ends before {_name(self._due[0])}, which follows from it", hint=_OTHER_PLAN
            )
        return Replayed(self._run, self._ledger, self._owed)

    def _take(self, record: Record, event: Event) -> None:
        if self._due:
            _compare(record, event, self._due.popleft())
            return
        reason = unexpected(self._run, event)
        if reason is not None:
            raise _mismatch(record, event, reason)
        self._owed.settle(event)
        accept(self._run, event, record.at)
        self.decide()

    def decide(self) -> None:
        """What follows is due, and what the shell must do is owed."""
        for command in decide(self._run):
            self._owed.note(command)
            if isinstance(command, Write):
                self._due.append(command.event)


def _first(plan: Plan, record: Record) -> Run:
    started = decode(record.body)
    if not isinstance(started, Started):
        raise _mismatch(record, started, "a journal begins with the fact that the execution started")
    if started.plan != plan.digest:
        reason = f"the execution runs plan {started.plan[:12]}…, this is plan {plan.digest[:12]}…"
        raise _mismatch(record, started, reason)
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
