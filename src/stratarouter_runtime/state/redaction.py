"""Facts as they may be shown: what is labelled is replaced by its label.

Journals keep everything, because runs are derived from them; logs, event streams and
comparisons go through here. Must never know: who looks.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stratarouter_runtime.ids import AgentName, StepPath
from stratarouter_runtime.state.events import (
    Answered,
    Asked,
    Chosen,
    Event,
    Failed,
    Failure,
    Finished,
    Returned,
    Started,
)
from stratarouter_runtime.state.interruption import verdict_type
from stratarouter_runtime.tcfp.plan import Ask, Call, Op, Plan, Route
from stratarouter_runtime.tcfp.relations import join, labels_of
from stratarouter_runtime.tcfp.types import JSON, Type
from stratarouter_runtime.tcfp.values import Misfit, checker, redact


class Redaction:
    """Shows the facts of one execution, in order; a route is known by the choice that came before."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ops = {op.path: op for op in plan.ops}
        self._inputs = {agent.name: agent.input.type for agent in plan.agents}
        self._outputs = {agent.name: agent.output.type for agent in plan.agents}
        self._chosen: dict[StepPath, Type] = {}

    def show(self, event: Event) -> Event:
        """The fact without what is labelled."""
        match event:
            case Started():
                return replace(event, input=_hidden(self._plan.input.type, event.input))
            case Chosen():
                self._chosen[event.step] = self._outputs[event.agent]
                return event
            case Returned():
                return replace(event, output=_hidden(self._output(event.step), event.output))
            case Failed():
                return replace(event, failure=self._failure(event.failure))
            case Asked():
                return replace(event, show=self._asked(event))
            case Answered():
                return replace(event, value=_hidden(self._answer(event.step), event.value))
            case Finished():
                return self._end(event)
            case _:
                return event

    def _end(self, event: Finished) -> Finished:
        if event.failure is not None:
            return replace(event, failure=self._failure(event.failure))
        return replace(event, output=_hidden(self._plan.output.type, event.output))

    def _failure(self, failure: Failure) -> Failure:
        declared = self._plan.errors.get(failure.kind)
        return replace(failure, data=_hidden(JSON if declared is None else declared.type, failure.data))

    def _op(self, step: StepPath) -> Op | None:
        return self._ops.get(step.partition("[")[0])

    def _output(self, step: StepPath) -> Type:
        op = self._op(step)
        if op is not None and isinstance(op.does, Call):
            return self._plan.agents[op.does.agent].output.type
        # Where the choice is not known, everything that any candidate labels is hidden.
        return self._chosen.get(step) or join(*self._outputs.values())

    def _input(self, agent: str) -> Type:
        return self._inputs.get(AgentName(agent), JSON)

    def _asked(self, event: Asked) -> Any:
        """What stood beside a question: of a call that was interrupted, what the agent was given."""
        if not event.interrupted:
            return _hidden(self._shown(event.step), event.show)
        if self._carries(event.step, event.interrupted):
            return "[redacted]"
        return _hidden(self._input(event.interrupted), event.show)

    def _carries(self, step: StepPath, agent: str) -> bool:
        """Whether the agent was given a label that the type of its input does not tell."""
        op = self._op(step)
        carried = frozenset() if op is None else op.carries.get(AgentName(agent), frozenset())
        return bool(carried - labels_of(self._input(agent)))

    def _shown(self, step: StepPath) -> Type:
        op = self._op(step)
        shown = op.does.show if op is not None and isinstance(op.does, Ask) else None
        return JSON if shown is None else shown.type

    def _answer(self, step: StepPath) -> Type:
        op = self._op(step)
        if op is not None and isinstance(op.does, Call | Route):
            return verdict_type(self._output(step))
        return op.does.answer.type if op is not None and isinstance(op.does, Ask) else JSON


def _hidden(type_: Type, value: Any) -> Any:
    try:
        return redact(type_, checker(type_).project(value))
    except Misfit:
        return "[redacted]"
