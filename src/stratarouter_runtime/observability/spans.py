"""The facts of an execution that has ended -> the spans of its trace.

Ids follow from what spans stand for, so the same journal always makes the same trace. Named by
OpenTelemetry's conventions for generative AI. Must never know: payloads, or who collects traces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from stratarouter_runtime.ids import AgentName, StepPath
from stratarouter_runtime.observability.telemetry import TIMEOUT
from stratarouter_runtime.state.events import (
    NO_USAGE,
    Answered,
    Asked,
    Chosen,
    Dispatched,
    Failed,
    Finished,
    Returned,
    Started,
    TimerFired,
)
from stratarouter_runtime.tcfp.digests import step_key
from stratarouter_runtime.tcfp.plan import Call, Op
from stratarouter_runtime.traces import call_span, root_span

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Execution, Operation
    from stratarouter_runtime.state.events import Record, Usage
    from stratarouter_runtime.tcfp.plan import Plan

Attribute: TypeAlias = "str | int | float | bool"
Describe: TypeAlias = "Callable[[AgentName], Operation]"

ASK: Final = "ask"


class Span(Struct, frozen=True):
    """One piece of work: 16 hex digits each for itself and what it is part of; times in microseconds."""

    id: str
    parent: str
    name: str
    start: int
    end: int
    attributes: Mapping[str, Attribute]
    failure: str = ""
    """The kind of failure it ended in, or empty."""
    remote: bool = False
    """Whether somebody else's work was waited for."""


def build(
    execution: Execution,
    records: Sequence[Record],
    events: Sequence[object],
    plan: Plan,
    describe: Describe,
) -> list[Span]:
    """The span of the whole execution, then one for each call and each question, as they ended."""
    told = _Telling(execution, plan, describe)
    for record, event in zip(records, events, strict=True):
        told.hear(event, record.at)
    return told.spans


class _Telling:
    """Goes through the facts in order."""

    def __init__(self, execution: Execution, plan: Plan, describe: Describe) -> None:
        self._execution = execution
        self._plan = plan
        self._describe = describe
        self._ops = {op.path: op for op in plan.ops}
        self._chosen: dict[StepPath, AgentName] = {}
        self._begun: dict[StepPath, int] = {}
        self._root = root_span(execution.id)
        self._started: Started | None = None
        self.spans: list[Span] = []

    def hear(self, event: object, at: int) -> None:
        """One fact, of the moment `at`."""
        match event:
            case Started():
                self._started = event
            case Chosen():
                self._chosen[event.step] = event.agent
            case Dispatched() | Asked():
                self._begun[event.step] = at
            case Returned() | Failed() | TimerFired(timer="attempt"):
                self._call(event, at)
            case Answered():
                self._answered(event.step, at)
            case Finished():
                self.spans.insert(0, self._whole(event, at))
            case _:
                pass

    def _whole(self, finished: Finished, at: int) -> Span:
        attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": str(self._execution.flow),
            **_usage(finished.usage),
            "strata.execution.id": str(self._execution.id),
            "strata.execution.status": finished.status,
            "strata.plan": str(self._execution.plan),
            "strata.tenant": str(self._execution.tenant),
        }
        parent = self._started.span if self._started else ""
        name, kind = f"invoke_workflow {self._execution.flow}", _kind(finished)
        return Span(self._root, parent, name, self._execution.created, at, attributes, kind)

    def _call(self, event: Returned | Failed | TimerFired, at: int) -> None:
        usage = NO_USAGE if isinstance(event, TimerFired) else event.usage
        failure = _failure(event)
        agent = self._callee(event.step)
        operation = self._describe(agent)
        attributes = {
            "gen_ai.operation.name": operation.name,
            "gen_ai.agent.name": str(agent),
            "gen_ai.provider.name": operation.provider,
            "gen_ai.request.model": operation.model,
            "gen_ai.tool.name": operation.tool,
            **_usage(usage),
            "strata.step": str(event.step),
            "strata.attempt": event.attempt,
            "error.type": failure,
        }
        self.spans.append(
            Span(
                call_span(self._execution.id, step_key(event.step), event.attempt),
                self._root,
                f"{operation.name} {operation.model or operation.tool or agent}",
                self._start(event.step, at, usage, failure),
                at,
                {name: value for name, value in attributes.items() if value != ""},
                failure,
                remote=True,
            )
        )

    def _answered(self, step: StepPath, at: int) -> None:
        op = self._op(step)
        span = call_span(self._execution.id, step_key(step), 1)
        start = self._begun.pop(step, at)
        name = f"{ASK} {op.name if op else step}"
        self.spans.append(Span(span, self._root, name, start, at, {"strata.step": str(step)}, remote=True))

    def _start(self, step: StepPath, at: int, usage: Usage, failure: str) -> int:
        """When a call began: as journaled, else as long before its end as it took."""
        begun = self._begun.pop(step, None)
        if begun is not None:
            return begun
        op = self._op(step)
        took = op.time if failure == TIMEOUT and not usage.ms and op else None
        return max(self._execution.created, at - int(usage.ms * 1_000 if took is None else took))

    def _callee(self, step: StepPath) -> AgentName:
        op = self._op(step)
        if op is not None and isinstance(op.does, Call):
            return self._plan.agents[op.does.agent].name
        return self._chosen.get(step, AgentName("(unknown)"))

    def _op(self, step: StepPath) -> Op | None:
        return self._ops.get(step.partition("[")[0])


def _failure(event: Returned | Failed | TimerFired) -> str:
    match event:
        case Returned():
            return ""
        case Failed():
            return event.failure.kind
        case TimerFired():
            return TIMEOUT


def _usage(usage: Usage) -> dict[str, Attribute]:
    told: dict[str, Attribute] = {
        "gen_ai.usage.input_tokens": usage.tokens_in,
        "gen_ai.usage.output_tokens": usage.tokens_out,
        "strata.usage.usd": usage.usd,
    }
    return {name: value for name, value in told.items() if value}


def _kind(finished: Finished) -> str:
    return (
        ""
        if finished.status == "completed"
        else finished.failure.kind
        if finished.failure
        else finished.status
    )
