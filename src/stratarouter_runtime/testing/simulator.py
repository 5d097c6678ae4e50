"""A whole execution in memory, under a virtual clock: the core with nothing around it.

Agents are plain functions, time passes only when everything waits for it, and the same
scripts give the same journal to the byte. For tests of flows, and of the core itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from msgspec import Struct

from stratarouter_runtime.ids import LOCAL, Digest, StepPath
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.commands import (
    AwaitAnswer,
    CallAgent,
    Command,
    ScoreRoutes,
    SetTimer,
    Withdraw,
    Write,
)
from stratarouter_runtime.state.decide import accept, begin, decide
from stratarouter_runtime.state.events import (
    NO_USAGE,
    Answered,
    Asked,
    CancelRequested,
    Event,
    Failed,
    Failure,
    Finished,
    Interrupted,
    Record,
    Returned,
    Scored,
    Started,
    TimerFired,
    Usage,
)
from stratarouter_runtime.state.interruption import in_doubt
from stratarouter_runtime.state.ledger import Ledger
from stratarouter_runtime.state.replay import replay
from stratarouter_runtime.state.run import Run
from stratarouter_runtime.tcfp.plan import Plan

START: Final = 1_700_000_000_000_000
"""When every simulated execution begins: microseconds since the epoch."""

MILLISECOND: Final = 1_000


class Reply(Struct, frozen=True):
    """What a scripted agent says: a value or a failure, after `takes` microseconds (None: never)."""

    value: Any = None
    failure: Failure | None = None
    takes: int | None = MILLISECOND
    usage: Usage = NO_USAGE


NEVER: Final = Reply(takes=None)
"""An agent that hangs."""

Script: TypeAlias = Callable[[Any, int], Any]
"""(input, attempt) -> a value, a `Failure`, or a `Reply`."""


class Call(Struct, frozen=True):
    """One call an agent got."""

    agent: str
    step: str
    attempt: int
    input: Any
    at: int


@dataclass(slots=True)
class Simulated:
    """What came of it. Times in `calls` are microseconds since the start; `run` is the state at the end."""

    finished: Finished | None
    records: list[Record]
    calls: list[Call]
    took: int
    run: Run

    @property
    def events(self) -> list[Event]:
        """The facts, in order."""
        return [decode(record.body) for record in self.records]

    @property
    def called(self) -> list[str]:
        """The names of the agents called, in order."""
        return [call.agent for call in self.calls]


@dataclass(order=True, slots=True)
class _Due:
    at: int
    number: int
    step: str = field(compare=False)
    event: Event = field(compare=False)


class Simulator:
    """Runs a plan on scripts.

    `scores` gives the similarities for a query; `answers` the value for a step's question by
    path (steps without one are never answered), `verdicts` what is said of a call that a crash
    interrupted (without one, that it did not happen); `cancel_at` asks for the end at that
    moment. `others` are further plans that a journal to be taken up may name.
    """

    def __init__(
        self,
        plan: Plan,
        scripts: Mapping[str, Script],
        *,
        scores: Callable[[str, Sequence[str]], Sequence[float]] | None = None,
        answers: Mapping[str, Any] | None = None,
        verdicts: Mapping[str, Any] | None = None,
        cancel_at: int | None = None,
        others: Mapping[Digest, Plan] | None = None,
        seed: str = "00" * 16,
    ) -> None:
        self._plan = plan
        self._scripts = scripts
        self._scores = scores
        self._answers = answers or {}
        self._verdicts = verdicts or {}
        self._doubted: set[str] = set()
        self._cancel_at = cancel_at
        self._seed = seed
        self._others = others or {}
        self._due: list[_Due] = []
        self._number = 0
        self._now = START
        self._ledger = Ledger()
        self._records: list[Record] = []
        self._calls: list[Call] = []

    def run(self, given: Mapping[str, Any], *, facts: int | None = None) -> Simulated:
        """Run to the end, or until nothing can happen any more, or until so many facts came."""
        started = Started("exec_test", self._plan.digest, dict(given), self._seed, LOCAL)
        self._records.append(self._ledger.write(started, self._now))
        run = begin(self._plan, started, self._now)
        self._carry_out(decide(run))
        if self._cancel_at is not None:
            self._later(self._cancel_at, "cancel", CancelRequested())
        return self._go_on(run, facts)

    def resume(self, records: Sequence[Record]) -> Simulated:
        """Take a journal up as recovery does after a crash, and run to the end."""
        replayed = replay(self._plan, records, self._others)
        self._records, self._ledger = list(records), replayed.ledger
        self._now = replayed.ledger.at
        self._doubted = {path for path, frame in replayed.run.live.items() if in_doubt(frame)}
        lost = [each for each in replayed.owed if isinstance(each, CallAgent) and each.guarded]
        self._carry_out([command for command in replayed.owed if command not in lost])
        for call in lost:
            self._later(0, call.step, Interrupted(call.step, call.attempt))
        return self._go_on(replayed.run, None)

    def _go_on(self, run: Run, facts: int | None) -> Simulated:
        while self._due and run.finished is None and facts != 0:
            due = heapq.heappop(self._due)
            self._now = max(self._now, due.at)
            self._records.append(self._ledger.write(due.event, self._now))
            refused = accept(run, due.event, self._now)
            assert refused is None, refused
            self._carry_out(decide(run))
            facts = None if facts is None else facts - 1
        return Simulated(run.finished, self._records, self._calls, self._now - START, run)

    def _carry_out(self, commands: list[Command]) -> None:  # noqa: C901 - one case a kind of command
        for command in commands:
            match command:
                case CallAgent():
                    self._call(command)
                case ScoreRoutes():
                    self._score(command)
                case SetTimer():
                    event = TimerFired(command.step, command.timer, command.attempt)
                    self._later(command.at - self._now, command.step, event)
                case AwaitAnswer():
                    self._answer(command.step)
                case Withdraw():
                    self._due = [due for due in self._due if due.step != command.step]
                    heapq.heapify(self._due)
                case Write():
                    self._records.append(self._ledger.write(command.event, self._now))
                    if isinstance(command.event, Asked) and command.event.interrupted:
                        self._doubted.add(command.event.step)

    def _answer(self, step: StepPath) -> None:
        doubted = step in self._doubted
        self._doubted.discard(step)
        if doubted:
            verdict = self._verdicts.get(step, {"happened": False, "output": None})
            self._later(MILLISECOND, step, Answered(step, verdict, "tester"))
        elif step in self._answers:
            self._later(MILLISECOND, step, Answered(step, self._answers[step], "tester"))

    def _call(self, command: CallAgent) -> None:
        call = Call(command.agent.name, command.step, command.attempt, command.input, self._now - START)
        self._calls.append(call)
        said = self._scripts[command.agent.name](command.input, command.attempt)
        reply = said if isinstance(said, Reply) else _reply(said)
        if reply.takes is None:
            return
        step, given, attempt = command.step, command.brief, command.attempt
        event: Event
        if reply.failure is None:
            event = Returned(step, given, reply.value, attempt, reply.usage)
        else:
            event = Failed(step, given, reply.failure, attempt, reply.usage)
        self._later(reply.takes, step, event)

    def _score(self, command: ScoreRoutes) -> None:
        assert self._scores is not None, "this plan routes by meaning: give the simulator scores"
        abouts = [agent.signature.about for agent in command.candidates]
        scores = tuple(self._scores(command.query, abouts))
        event = Scored(command.step, command.brief, scores, command.attempt)
        self._later(MILLISECOND, command.step, event)

    def _later(self, delay: int, step: str, event: Event) -> None:
        self._number += 1
        heapq.heappush(self._due, _Due(self._now + delay, self._number, step, event))


def _reply(said: Any) -> Reply:
    return Reply(failure=said) if isinstance(said, Failure) else Reply(value=said)
