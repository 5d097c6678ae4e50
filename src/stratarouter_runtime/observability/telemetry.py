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

    __slots__ = ("callees", "chosen", "started", "steps")

    def __init__(self, callees: dict[str, OfAgent], started: Started | None = None) -> None:
        self.started = started
        self.steps = 0
        self.callees = callees
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
        if not events:
            return
        self._counters.facts += len(records)
        last = events[-1]
        progress = self._under_way.get(execution.id)
        if progress is None:
            progress = self._meet(execution, events[0])
            if progress.started is not None and progress.started.forked is not None:
                # What it took over was counted where it happened.
                progress.steps = sum(isinstance(event, Returned | Answered) for event in events)
                events = ()
        for event in events:
            # Most facts are answers: they take the short way.
            if type(event) is Returned:
                self._returned(execution, progress, event)
            else:
                self._count(execution, progress, event)
        if type(last) is Finished:
            self._end(execution, progress, last, records[-1].at)

    def _meet(self, execution: Execution, first: object) -> _Progress:
        """An execution that has not been heard of: it begins, or another process began it."""
        callees = self._callees.get(execution.plan)
        if callees is None:
            callees = self._learn(execution.plan)
        if isinstance(first, Started):
            self._counters.workflow(execution.flow).started += 1
            progress = _Progress(callees, first)
        else:
            self._counters.taken_up += 1
            progress = _Progress(callees)
        self._under_way[execution.id] = progress
        if len(self._under_way) > REMEMBERED:
            self._under_way.popitem(last=False)
        return progress

    def _returned(self, execution: Execution, progress: _Progress, event: Returned) -> None:
        progress.steps += 1
        agent = progress.callees.get(event.step) or self._callee(progress, event.step)
        agent.returned += 1
        agent.spent(event.usage)
        self._counters.calls += 1
        if event.attempt > 1 or self._steps:
            self._attempted(execution, agent, event, event.usage.ms, "")

    def _count(self, execution: Execution, progress: _Progress, event: object) -> None:
        match event:
            case Failed():
                agent = self._callee(progress, event.step)
                agent.spent(event.usage)
                agent.failures[event.failure.kind] += 1
                self._attempted(execution, agent, event, event.usage.ms, event.failure.kind)
            case TimerFired(timer="attempt"):
                agent = self._callee(progress, event.step)
                agent.failures[TIMEOUT] += 1
                self._attempted(execution, agent, event, 0.0, TIMEOUT)
            case Chosen():
                self._counters.routes[event.by] += 1
                progress.chosen[event.step] = self._counters.agent(event.agent)
            case Interrupted():
                self._callee(progress, event.step).failures[INTERRUPTED] += 1
            case Answered():
                progress.steps += 1
                self._counters.answers += 1
            case _:
                pass

    def _attempted(
        self,
        execution: Execution,
        agent: OfAgent,
        event: Returned | Failed | TimerFired,
        ms: float,
        failure: str,
    ) -> None:
        if event.attempt > 1:
            self._counters.retries += 1
        for hear in self._steps:
            hear(Step(execution.id, event.step, agent.name, event.attempt, ms, failure))

    def _end(self, execution: Execution, progress: _Progress, finished: Finished, at: int) -> None:
        self._under_way.pop(execution.id, None)
        workflow = self._counters.workflow(execution.flow)
        workflow.ended[finished.status] += 1
        workflow.duration.observe((at - execution.created) / 1_000_000)
        ended = Ended(execution, finished, at, progress.steps, progress.started)
        for hear in self._ends:
            hear(ended)

    def _callee(self, progress: _Progress, step: StepPath) -> OfAgent:
        """The counters of the agent that a step called, in any round."""
        found = progress.chosen.get(step) or progress.callees.get(step.partition("[")[0])
        return found or self._counters.agent(UNKNOWN)

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
