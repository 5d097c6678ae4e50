"""A run at rest, written as the records of a snapshot.

Frames, the lists of slots that they share, and accounts are numbered in the order they
are met. Must never know: bytes, or how a run is made of these again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from stratarouter_runtime.state import snapshot_form as forms
from stratarouter_runtime.state.commands import AwaitAnswer, CallAgent, ScoreRoutes, SetTimer
from stratarouter_runtime.state.events import Budget, Failure
from stratarouter_runtime.state.leaves import Flight, Question, Scoring
from stratarouter_runtime.state.liveness import Reads, Slots, needed
from stratarouter_runtime.state.operators import Branches, Rounds, Turns
from stratarouter_runtime.state.run import Frame, Run, Scope, Undo, Won
from stratarouter_runtime.tcfp.plan import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.ledger import Ledger
    from stratarouter_runtime.state.outstanding import Outstanding
    from stratarouter_runtime.tcfp.plan import Environment


def write(run: Run, ledger: Ledger, owed: Outstanding, reads: Reads) -> forms.RunForm:
    """The form of a run; `reads` are those of its plan."""
    return _Writer(run, reads).form(ledger, owed)


class _Writer:
    """Gives numbers to what frames share: slot lists, scopes, and each other."""

    def __init__(self, run: Run, reads: Reads) -> None:
        assert run.root is not None
        self._run = run
        self._frames = list(_tree(run.root))
        self._numbers = {id(frame): number for number, frame in enumerate(self._frames)}
        self._needed = needed(self._frames, reads)
        self._slots: dict[int, int] = {}
        self._kept: list[list[Any]] = []
        self._scopes: dict[int, int] = {}
        self._accounts: list[Scope] = []

    def form(self, ledger: Ledger, owed: Outstanding) -> forms.RunForm:
        run = self._run
        frames = [self._frame(frame) for frame in self._frames]
        return forms.RunForm(
            forms.FORMAT,
            run.plan.digest,
            ledger.seq,
            ledger.at,
            ledger.link,
            replace(run.started, input=None),
            run.now,
            run.completed,
            run.nanousd,
            run.tokens_in,
            run.tokens_out,
            run.ms,
            run.undo_failed,
            self._kept,
            frames,
            [self._account(scope) for scope in self._accounts],
            [_owed(command) for command in owed.commands()],
        )

    def _frame(self, frame: Frame) -> forms.FrameForm:
        return forms.FrameForm(
            frame.op.index,
            NONE if frame.parent is None else self._numbers[id(frame.parent)],
            frame.role,
            self._env(frame.env),
            frame.indices,
            self._scope(frame.scope),
            frame.phase.value,
            frame.attempt,
            frame.handled,
            frame.final,
            frame.outstanding,
            self._run.live.get(frame.path) is frame,
            frame.path in self._run.asking,
            [self._undo(undo) for undo in frame.undos],
            None if frame.undoing is None else self._undo(frame.undoing),
            [self._undo(undo) for undo in frame.kept],
            _outcome(frame.outcome),
            self._memory(frame),
        )

    def _env(self, env: Environment) -> tuple[int, ...]:
        return tuple(self._slot_list(depth, slots) for depth, slots in enumerate(env))

    def _slot_list(self, depth: int, slots: list[Any]) -> int:
        number = self._slots.get(id(slots))
        if number is None:
            number = self._slots[id(slots)] = len(self._kept)
            self._kept.append(_living(depth, slots, self._needed))
        return number

    def _scope(self, scope: Scope | None) -> int:
        """The number of an account; those around it have lower ones."""
        if scope is None:
            return NONE
        self._scope(scope.outer)
        if id(scope) not in self._scopes:
            self._scopes[id(scope)] = len(self._accounts)
            self._accounts.append(scope)
        return self._scopes[id(scope)]

    def _account(self, scope: Scope) -> forms.ScopeForm:
        return forms.ScopeForm(
            self._numbers[id(scope.owner)],
            self._scope(scope.outer),
            scope.deadline,
            scope.nanousd,
            scope.tokens,
            scope.steps,
            scope.running,
            [self._numbers.get(id(frame), NONE) for frame in scope.waiting],
        )

    def _undo(self, undo: Undo) -> forms.UndoForm:
        return forms.UndoForm(undo.op, self._env(undo.env), undo.indices, undo.completed)

    def _memory(self, frame: Frame) -> forms.MemoryForm | None:
        match frame.memory:
            case Branches(results, failures):
                return forms.BranchesForm(results, failures)
            case Rounds(items, results, opened, done):
                return forms.RoundsForm(items, results, opened, done)
            case Turns(state, env, turn):
                return forms.TurnsForm(state, self._env(env), turn)
            case Flight() as flight:
                return self._flight(flight)
            case Scoring(query, digest):
                return forms.ScoringForm(query, digest)
            case Question(until):
                return forms.QuestionForm(until)
            case _:  # of a block: the value of its last step, before that of the one at work
                return None

    def _flight(self, flight: Flight) -> forms.FlightForm:
        number = next(n for n, agent in enumerate(self._run.plan.agents) if agent is flight.agent)
        return forms.FlightForm(
            number,
            flight.input,
            flight.digest,
            flight.placed,
            flight.reserved,
            flight.flying,
            flight.doubtful,
        )


def _tree(frame: Frame) -> Iterator[Frame]:
    """A frame and all below it; parents first, and children in the order they were opened."""
    yield frame
    for child in frame.children.values():
        yield from _tree(child)


def _living(depth: int, slots: list[Any], wanted: Slots) -> list[Any]:
    """The values that may be read again; the rest is null, and the last of it left out."""
    kept = [value if (depth, index) in wanted else None for index, value in enumerate(slots)]
    while kept and kept[-1] is None:
        kept.pop()
    return [len(slots), *kept]


def _outcome(outcome: Failure | Won | None) -> forms.WonForm | forms.LostForm | None:
    match outcome:
        case Won(value):
            return forms.WonForm(value)
        case Failure(kind, message, data, step):
            return forms.LostForm(kind, message, data, step)
        case None:
            return None


def _owed(command: Command) -> forms.OwedForm:
    match command:
        case CallAgent():
            budget = command.budget or Budget()
            return forms.CallForm(command.step, command.attempt, command.deadline, budget.usd, budget.tokens)
        case ScoreRoutes():
            return forms.ScoreForm(command.step, command.attempt)
        case SetTimer():
            return forms.TimerForm(command.step, command.timer, command.attempt, command.at)
        case AwaitAnswer():
            return forms.AwaitForm(command.step)
        case _:
            raise AssertionError("nothing else is ever owed")
