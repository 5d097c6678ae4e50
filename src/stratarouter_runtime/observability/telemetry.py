"""Durable facts -> figures, and word of every execution that ends.

One pass over the facts serves metrics, logs and traces. What was not heard from its start, because
another process began it, is told as such. Must never know: payloads, or what is done with what it tells.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.ids import Digest, ExecutionId, StepPath
from stratarouter_runtime.observability.figures import Counters, OfAgent
from stratarouter_runtime.ports import Execution, Observer
from stratarouter_runtime.state.events import (
    NO_USAGE,
    Answered,
    Chosen,
    Failed,
    Finished,
    Interrupted,
    Returned,
    Started,
    TimerFired,
)
from stratarouter_runtime.tcfp.plan import Call, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.state.events import Record

UNKNOWN: Final = "(unknown)"
"""An agent of a plan that is not in memory."""

TIMEOUT: Final = "agent.timeout"
"""The kind of failure of an attempt that ran out of its time."""

REMEMBERED: Final = 100_000
"""Executions under way; the oldest is forgotten, and told as not heard from its start."""

INTERRUPTED: Final = "interrupted"
"""The kind of a call that a crash interrupted, of which nobody knows what became."""

PLANS: Final = 1_000
"""Plans whose agents are kept at hand."""

PlanAtHand: TypeAlias = Callable[[Digest], "Plan | None"]


class Ended(Struct, frozen=True):
    """An execution that has ended. `started` is None where its start was not heard."""

    execution: Execution
    finished: Finished
    at: int
    steps: int
    started: Started | None


class Step(Struct, frozen=True):
    """A call of an agent that came to its end; `failure` is the kind of its failure, or empty."""

    execution: ExecutionId
    step: StepPath
    agent: str
    attempt: int
    ms: float
    failure: str


class _Progress:
    """What has been heard of one execution."""

    __slots__ = ("chosen", "started", "steps")

    def __init__(self, started: Started | None = None) -> None:
        self.started = started
        self.steps = 0
        self.chosen: dict[StepPath, OfAgent] = {}


class Telemetry(Observer):
    """Counts what it hears. `at_hand` gives the plan of a digest, where it is in memory."""

    def __init__(self, counters: Counters, at_hand: PlanAtHand) -> None:
        self._counters = counters
        self._at_hand = at_hand
        self._under_way: OrderedDict[ExecutionId, _Progress] = OrderedDict()
        self._callees: OrderedDict[Digest, dict[str, OfAgent]] = OrderedDict()
        self._ends: list[Callable[[Ended], None]] = []
        self._steps: list[Callable[[Step], None]] = []

    def when_ended(self, hearer: Callable[[Ended], None]) -> None:
        """Tell this one too of every execution that ends."""
        self._ends.append(hearer)

    def for_steps(self, hearer: Callable[[Step], None]) -> None:
        """Tell this one too of every call that ends."""
        self._steps.append(hearer)

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        self._counters.facts += len(records)
        first, last = events[0], events[-1]
        if isinstance(first, Started):
            progress = self._begin(execution, first)
            if first.forked is not None:  # what it took over was counted where it happened
                progress.steps = sum(isinstance(event, Returned | Answered) for event in events)
                events = ()
        else:
            progress = self._under_way.get(execution.id) or self._take_up(execution.id)
        for event in events:
            self._count(execution, progress, event)
        if isinstance(last, Finished):
            self._end(execution, progress, last, records[-1].at)

    def _begin(self, execution: Execution, started: Started) -> _Progress:
        self._counters.workflow(execution.flow).started += 1
        return self._remember(execution.id, _Progress(started))

    def _take_up(self, execution: ExecutionId) -> _Progress:
        self._counters.taken_up += 1
        return self._remember(execution, _Progress())

    def _remember(self, execution: ExecutionId, progress: _Progress) -> _Progress:
        self._under_way[execution] = progress
        if len(self._under_way) > REMEMBERED:
            self._under_way.popitem(last=False)
        return progress

    def _count(self, execution: Execution, progress: _Progress, event: object) -> None:
        match event:
            case Returned():
                progress.steps += 1
                agent = self._callee(execution, progress, event.step)
                agent.returned += 1
                self._called(execution, agent, event, "")
            case Failed():
                agent = self._callee(execution, progress, event.step)
                self._called(execution, agent, event, event.failure.kind)
            case TimerFired(timer="attempt"):
                agent = self._callee(execution, progress, event.step)
                self._called(execution, agent, event, TIMEOUT)
            case Chosen():
                self._counters.routes[event.by] += 1
                progress.chosen[event.step] = self._counters.agent(event.agent)
            case Interrupted():
                self._callee(execution, progress, event.step).failures[INTERRUPTED] += 1
            case Answered():
                progress.steps += 1
                self._counters.steps["ask"] += 1
            case _:
                pass

    def _called(
        self, execution: Execution, agent: OfAgent, event: Returned | Failed | TimerFired, failure: str
    ) -> None:
        usage = NO_USAGE if isinstance(event, TimerFired) else event.usage
        agent.spent(usage)
        if failure:
            agent.failures[failure] += 1
        else:
            self._counters.steps["call"] += 1
        if event.attempt > 1:
            self._counters.retries += 1
        for hear in self._steps:
            hear(Step(execution.id, event.step, agent.name, event.attempt, usage.ms, failure))

    def _end(self, execution: Execution, progress: _Progress, finished: Finished, at: int) -> None:
        self._under_way.pop(execution.id, None)
        workflow = self._counters.workflow(execution.flow)
        workflow.ended[finished.status] += 1
        workflow.duration.observe((at - execution.created) / 1_000_000)
        ended = Ended(execution, finished, at, progress.steps, progress.started)
        for hear in self._ends:
            hear(ended)

    def _callee(self, execution: Execution, progress: _Progress, step: StepPath) -> OfAgent:
        """The counters of the agent that a step called."""
        chosen = progress.chosen.get(step)
        if chosen is not None:
            return chosen
        callees = self._callees.get(execution.plan)
        if callees is None:
            callees = self._learn(execution.plan)
        return callees.get(step.partition("[")[0]) or self._counters.agent(UNKNOWN)

    def _learn(self, digest: Digest) -> dict[str, OfAgent]:
        """The callees of a plan's steps, by their paths without rounds."""
        plan = self._at_hand(digest)
        if plan is None:
            return {}
        callees = {
            op.path: self._counters.agent(plan.agents[op.does.agent].name)
            for op in plan.ops
            if isinstance(op.does, Call)
        }
        self._callees[digest] = callees
        if len(self._callees) > PLANS:
            self._callees.popitem(last=False)
        return callees
