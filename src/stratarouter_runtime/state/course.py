"""A run and its journal, growing together: the one way in which a fact is taken in.

Drives, forks and walks along a journal all go it: the fact is accepted, what it answers is owed
no more, and what follows is decided and noted. Who writes journals the fact, and behind it the
facts that follow. Must never know: where records are kept, or who carries commands out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.state import decide as core
from stratarouter_runtime.state.commands import Command, Write
from stratarouter_runtime.state.events import Event, Record
from stratarouter_runtime.state.ledger import Ledger
from stratarouter_runtime.state.outstanding import Outstanding
from stratarouter_runtime.tcfp.values import Misfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.state.events import Started
    from stratarouter_runtime.state.run import Run
    from stratarouter_runtime.tcfp.plan import Plan


class Told(Struct, eq=False):
    """Facts with their records, in order, and what the shell must do once these are durable."""

    records: list[Record] = []
    events: list[Event] = []
    commands: list[Command] = []


class Course:
    """A run, the ledger of its journal, and what the shell owes it."""

    __slots__ = ("ledger", "owed", "run")

    def __init__(self, run: Run, ledger: Ledger, owed: Outstanding | None = None) -> None:
        self.run = run
        self.ledger = ledger
        self.owed = Outstanding() if owed is None else owed

    @classmethod
    def begin(cls, plan: Plan, started: Started, at: int) -> tuple[Course, Told]:
        """The course of an execution that starts, and its first facts.

        Raises `InvalidInput` where the input does not fit, or holds what is no JSON.
        """
        course, told = cls(_begun(plan, started, at), Ledger()), Told()
        try:
            course._write(started, at, told)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidInput(f"the input holds what is no JSON: {error}") from error
        course._go_on(told)
        return course, told

    def take(self, event: Event, now: int, told: Told) -> str | None:
        """Write down a fact and what follows from it; or why the run does not expect it.

        Then nothing has changed.
        """
        at = max(self.ledger.at, now)
        reason = self.accept(event, at)
        if reason is None:
            self._write(event, at, told)
            self._go_on(told)
        return reason

    def accept(self, event: Event, at: int) -> str | None:
        """Take in a fact that is written already; or why the run does not expect it."""
        reason = core.accept(self.run, event, at)
        if reason is None:
            self.owed.settle(event)
        return reason

    def decide(self) -> list[Command]:
        """What the shell must do now, noted as owed."""
        commands = core.decide(self.run)
        self.owe(commands)
        return commands

    def owe(self, commands: Sequence[Command]) -> None:
        """These were handed out, and are not answered."""
        for command in commands:
            self.owed.note(command)

    def _go_on(self, told: Told) -> None:
        commands = self.decide()
        told.commands += commands
        for command in commands:
            if isinstance(command, Write):
                self._write(command.event, self.ledger.at, told)

    def _write(self, event: Event, at: int, told: Told) -> None:
        told.records.append(self.ledger.write(event, at))
        told.events.append(event)


def _begun(plan: Plan, started: Started, at: int) -> Run:
    try:
        return core.begin(plan, started, at)
    except Misfit as misfit:
        message = f"the input does not fit {plan.name}: {misfit}"
        raise InvalidInput(message, pointer=misfit.pointer, hint=misfit.hint) from misfit
