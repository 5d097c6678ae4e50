"""A run made again of the records of a snapshot.

Whatever does not fit the plan raises `LookupError`, `ValueError`, `AttributeError` or
`TypeError`. Must never know: bytes, or how the records were written.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from stratarouter_runtime.ids import Digest, StepPath
from stratarouter_runtime.state import snapshot_form as forms
from stratarouter_runtime.state.commands import AwaitAnswer, CallAgent, Command, ScoreRoutes, SetTimer
from stratarouter_runtime.state.events import Budget, Failure
from stratarouter_runtime.state.leaves import Flight, Question, Scoring, calling
from stratarouter_runtime.state.ledger import Ledger
from stratarouter_runtime.state.operators import Branches, Rounds, Turns
from stratarouter_runtime.state.outstanding import Outstanding
from stratarouter_runtime.state.routes import comparing
from stratarouter_runtime.state.run import Frame, Phase, Run, Scope, Undo, Won, path_of
from stratarouter_runtime.state.scopes import whole_limits
from stratarouter_runtime.tcfp.plan import NONE, Plan, Route

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.plan import Environment


class Restored(Struct, frozen=True):
    """A run brought back: the state, where its journal stood, and what the shell owes it."""

    run: Run
    ledger: Ledger
    owed: Outstanding


def read(plan: Plan, form: forms.RunForm) -> Restored:
    """The run of a form."""
    return _Reader(plan, form).restored()


class _Reader:
    """Makes frames first, then what points back at them."""

    def __init__(self, plan: Plan, form: forms.RunForm) -> None:
        self._plan = plan
        self._form = form
        self._run = Run(plan, form.started, form.now)
        self._slots = [[*kept, *([None] * (size - len(kept)))] for size, *kept in form.slots]
        self._frames: list[Frame] = []
        self._ended: Frame | None = None

    def restored(self) -> Restored:
        form, run = self._form, self._run
        run.completed, run.nanousd = form.completed, form.nanousd
        run.tokens_in, run.tokens_out, run.ms = form.tokens_in, form.tokens_out, form.ms
        run.undo_failed = list(form.undo_failed)
        for each in form.frames:
            self._add(each)
        run.root = self._frames[0]
        self._open_accounts()
        owed = Outstanding()
        for command in form.owed:
            owed.note(self._command(command))
        return Restored(run, Ledger(form.seq, form.at, form.link), owed)

    def _add(self, form: forms.FrameForm) -> None:
        op = self._plan.ops[form.op]
        parent = None if form.parent == NONE else self._frames[form.parent]
        path = path_of(op, form.indices)
        frame = Frame(op, parent, form.role, self._env(form.env), form.indices, path, None)
        frame.phase = Phase(form.phase)
        frame.attempt, frame.handled, frame.final = form.attempt, form.handled, form.final
        frame.outstanding = form.outstanding
        frame.undos = [self._undo(undo) for undo in form.undos]
        frame.undoing = None if form.undoing is None else self._undo(form.undoing)
        frame.kept = [self._undo(undo) for undo in form.kept]
        frame.outcome = _outcome(form.outcome)
        frame.memory = self._memory(form.memory)
        self._frames.append(frame)
        if parent is not None:
            parent.children[id(frame)] = frame
        if form.live:
            self._run.live[path] = frame
        if form.asking:
            self._run.asking.add(path)

    def _env(self, numbers: tuple[int, ...]) -> Environment:
        return tuple(self._slots[number] for number in numbers)

    def _undo(self, form: forms.UndoForm) -> Undo:
        return Undo(form.op, self._env(form.env), form.indices, form.completed)

    def _memory(self, form: forms.MemoryForm | None) -> Any:
        match form:
            case None:
                return None
            case forms.BranchesForm(results, failures):
                return Branches(results, failures)
            case forms.RoundsForm(items, results, opened, done):
                return Rounds(items, results, opened, done)
            case forms.TurnsForm(state, env, turn):
                return Turns(state, self._env(env), turn)
            case forms.FlightForm(agent, given, digest, placed, reserved, flying, doubtful):
                return Flight(
                    self._plan.agents[agent], given, Digest(digest), placed, reserved, flying, doubtful
                )
            case forms.ScoringForm(query, digest):
                return Scoring(query, Digest(digest))
            case forms.QuestionForm(until):
                return Question(until)

    def _open_accounts(self) -> None:
        """Those around an account come before it."""
        scopes: list[Scope] = []
        for form in self._form.scopes:
            owner = self._frames[form.owner]
            limits = whole_limits(self._plan, self._run.started) if owner.parent is None else owner.op.limits
            if limits is None:
                raise ValueError(f"{owner.op.name} has no limits")
            outer = None if form.outer == NONE else scopes[form.outer]
            scope = Scope(owner, outer, limits, form.deadline)
            scope.nanousd, scope.tokens, scope.steps = form.nanousd, form.tokens, form.steps
            scope.running = form.running
            scope.waiting = deque(self._waiting(number) for number in form.waiting)
            scopes.append(scope)
        for frame, each in zip(self._frames, self._form.frames, strict=True):
            frame.scope = None if each.scope == NONE else scopes[each.scope]

    def _waiting(self, number: int) -> Frame:
        """Who waits for a place; one that has ended still stands in its line, and is passed over."""
        if number != NONE:
            return self._frames[number]
        if self._ended is None:
            root = self._frames[0]
            self._ended = Frame(root.op, None, "flow", root.env, (), StepPath(""), None, Phase.HALTED)
        return self._ended

    def _command(self, form: forms.OwedForm) -> Command:
        match form:
            case forms.TimerForm(step, timer, attempt, at):
                return SetTimer(StepPath(step), timer, attempt, at)
            case forms.AwaitForm(step):
                return AwaitAnswer(StepPath(step))
            case forms.ScoreForm(step, attempt):
                return self._score(self._run.live[StepPath(step)], attempt)
            case forms.CallForm(step, attempt, deadline, usd, tokens):
                budget = None if usd is None and tokens is None else Budget(usd, tokens)
                return self._call(self._run.live[StepPath(step)], attempt, deadline, budget)

    def _score(self, frame: Frame, attempt: int) -> ScoreRoutes:
        does, memory = frame.op.does, frame.memory
        if not isinstance(does, Route) or not isinstance(memory, Scoring):
            raise ValueError(f"{frame.op.name} compares nothing")  # noqa: TRY004 - as all else that does not fit
        return comparing(self._run, frame, does, memory, attempt)

    def _call(self, frame: Frame, attempt: int, deadline: int | None, budget: Budget | None) -> CallAgent:
        flight = frame.memory
        if not isinstance(flight, Flight):
            raise ValueError(f"{frame.op.name} calls nobody")  # noqa: TRY004 - likewise
        return calling(self._run, frame, flight, attempt, deadline, budget)


def _outcome(form: forms.WonForm | forms.LostForm | None) -> Failure | Won | None:
    match form:
        case forms.WonForm(value):
            return Won(value)
        case forms.LostForm(kind, message, data, step):
            return Failure(kind, message, data, step)
        case None:
            return None
