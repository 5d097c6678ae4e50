"""Executions as answers: rows, journals and proofs in the shapes of the API.

Pure functions from records to records. Must never know: requests, or the runtime.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from stratarouter_runtime.api.models import (
    AgentCost,
    Cache,
    Cost,
    Error,
    ExecutionAnswer,
    Latency,
    ProofAnswer,
    Question,
    RefusedGate,
    Routing,
    Step,
)
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.state.events import (
    NO_USAGE,
    Answered,
    Asked,
    Chosen,
    Dispatched,
    Failed,
    Interrupted,
    Returned,
    Scored,
    Started,
    TimerFired,
)
from stratarouter_runtime.tcfp.plan import Ask, Call, Route
from stratarouter_runtime.tcfp.times import time_text
from stratarouter_runtime.tcfp.values import checker, redact

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.services.history import Journaled, Proof
    from stratarouter_runtime.services.reuse import Verdict
    from stratarouter_runtime.state.events import Event, Failure, Usage
    from stratarouter_runtime.tcfp.plan import LinkedAgent, Op, Plan
    from stratarouter_runtime.tcfp.types import Type

_BYPASS: Final = Cache()
_NOTHING: Final = Cost()


def cache(verdict: Verdict) -> Cache:
    """What reuse had to do with an answer."""
    reused = verdict.reused
    return Cache(
        outcome=verdict.outcome,
        why=verdict.why or UNSET,
        kind=UNSET if reused is None else reused.kind,
        key=verdict.key or UNSET,
        similarity=UNSET if reused is None else reused.similarity,
        source=UNSET if reused is None else reused.source,
        refused=tuple(RefusedGate(each.gate, each.why) for each in verdict.refused) or UNSET,
    )


def execution(
    row: Execution,
    trace: str,
    routing: tuple[Routing, ...] = (),
    *,
    reuse: Cache = _BYPASS,
    coalesced: bool = False,
) -> ExecutionAnswer:
    """An execution as the store lists it."""
    usage = row.usage or NO_USAGE
    return ExecutionAnswer(
        execution_id=row.id,
        workflow_id=row.flow,
        plan=row.plan,
        status=row.status,
        cache=reuse,
        coalesced=coalesced,
        cost=cost(usage),
        latency=_latency(row, usage),
        routing=routing,
        trace_id=trace,
        output=row.output if row.status == "completed" else UNSET,
        error=UNSET if row.failure is None else _error(row.failure),
    )


def queued(answer: ExecutionAnswer, seconds: float) -> ExecutionAnswer:
    """The answer about an execution that has waited its turn before it began."""
    if not seconds:
        return answer
    took, waited = answer.latency, round(seconds * 1000, 3)
    return replace(answer, latency=replace(took, total_ms=took.total_ms + waited, queue_ms=waited))


def journaled(found: Journaled, plan: Plan, trace: str) -> ExecutionAnswer:
    """An execution with its steps; its trace is the one it was started under."""
    row, started = found.execution, found.events[0]
    own, tags = (started.trace, started.tags) if isinstance(started, Started) else ("", ())
    tallies = _tallies(plan, found.events)
    bare = execution(row, own or trace, routing(found.events))
    return replace(
        bare,
        cost=replace(bare.cost, agents=_by_agent(tallies)),
        created=time_text(row.created),
        updated=time_text(row.updated),
        records=len(found.records),
        tags=tags or UNSET,
        steps=tuple(tally.step(finished=row.status in ENDED) for tally in tallies),
    )


def _by_agent(tallies: Iterable[_Tally]) -> dict[str, AgentCost]:
    """What was spent on each agent, by its name."""
    spent: dict[str, tuple[float, int, int]] = {}
    for tally in tallies:
        if tally.agent is not None:
            dollars, given, taken = spent.get(tally.agent, (0.0, 0, 0))
            spent[tally.agent] = dollars + tally.usd, given + tally.tokens_in, taken + tally.tokens_out
    return {
        name: AgentCost(usd(dollars), given, taken) for name, (dollars, given, taken) in sorted(spent.items())
    }


def routing(events: Iterable[Event]) -> tuple[Routing, ...]:
    """Every decision of a route, in the order they were taken."""
    return tuple(
        Routing(each.step, each.agent, each.by, each.rule, each.scores, each.why or UNSET)
        for each in events
        if isinstance(each, Chosen)
    )


def proof(found: Proof) -> ProofAnswer:
    """What a replay found."""
    return ProofAnswer(
        execution_id=found.execution,
        plan=found.plan,
        records=found.records,
        link=found.link,
        reproducible=found.reproducible,
        divergence=found.divergence or UNSET,
        hint=found.hint or UNSET,
    )


def cost(usage: Usage) -> Cost:
    """What was spent."""
    if usage is NO_USAGE:
        return _NOTHING
    return Cost(usd(usage.usd), usage.tokens_in, usage.tokens_out)


def usd(amount: float) -> str:
    """US dollars as a decimal string, to the billionth: `0.0021`."""
    text = f"{amount:.9f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def _latency(row: Execution, usage: Usage) -> Latency:
    """Agents at work at once may add up to more than the whole: the engine's part is never negative."""
    total = (row.updated - row.created) / 1000
    return Latency(
        total_ms=total,
        queue_ms=0.0,
        agents_ms=round(usage.ms, 3),
        engine_ms=round(max(0.0, total - usage.ms), 3),
    )


def _error(failure: Failure) -> Error:
    return Error(failure.kind, failure.message, failure.step, failure.data)


# Steps.


@dataclass(slots=True)
class _Tally:
    """What the journal has told of one step so far."""

    path: str
    op: Op
    agent: str | None
    status: Literal["running", "waiting", "completed", "failed", "timed_out", "cancelled"] = "running"
    attempts: int = 1
    ms: float = 0.0
    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    question: Question | UnsetType = UNSET
    output: Any = UNSET
    error: Error | UnsetType = UNSET

    def spend(self, usage: Usage) -> None:
        self.ms += usage.ms
        self.usd += usage.usd
        self.tokens_in += usage.tokens_in
        self.tokens_out += usage.tokens_out

    def step(self, *, finished: bool) -> Step:
        """The step as it is told; where the execution has `finished`, one without an end was cancelled."""
        open_ = self.status in {"running", "waiting"}
        _, bracket, rounds = self.path.partition("[")
        return Step(
            path=self.path,
            name=self.op.name + bracket + rounds,
            agent=self.agent,
            attempts=self.attempts,
            status="cancelled" if finished and open_ else self.status,
            ms=round(self.ms, 3),
            cost=Cost(usd(self.usd), self.tokens_in, self.tokens_out),
            question=self.question if self.status == "waiting" and not finished else UNSET,
            output=self.output if self.status == "completed" else UNSET,
            error=self.error if self.status in {"failed", "timed_out"} else UNSET,
        )


def _tallies(plan: Plan, events: Iterable[Event]) -> list[_Tally]:
    """The steps that reach outside, in the order they began, as the journal tells them."""
    ops = {op.path: op for op in plan.ops}
    tallies: dict[str, _Tally] = {}
    for event in events:
        path: str | None = getattr(event, "step", None)
        op = None if path is None else ops.get(path.partition("[")[0])
        if path is None or op is None:
            continue
        tally = tallies.get(path)
        if tally is None:
            if isinstance(event, TimerFired) and not isinstance(op.does, Call | Route):
                continue  # The time of a block has run out; the steps in it tell for themselves.
            agent = plan.agents[op.does.agent].name if isinstance(op.does, Call) else None
            tally = tallies[path] = _Tally(path, op, agent)
        _tell(tally, event, plan)
    return list(tallies.values())


def _tell(tally: _Tally, event: Event, plan: Plan) -> None:  # noqa: C901 - one case a kind of fact
    """Add one fact of a step to its tally."""
    tally.attempts = max(tally.attempts, getattr(event, "attempt", 1))
    match event:
        case Dispatched() | Interrupted() | Scored():
            tally.status = "running"
        case Chosen():
            tally.status, tally.agent = "running", event.agent
        case Returned():
            tally.spend(event.usage)
            tally.status, tally.output = "completed", _shown(_output_type(tally, plan), event.output)
        case Failed():
            tally.spend(event.usage)
            tally.status = "failed"
            tally.error = Error(event.failure.kind, event.failure.message, tally.path)
        case Asked():
            tally.status, tally.question = "waiting", _question(tally, event, plan)
        case Answered() if isinstance(tally.op.does, Ask):
            tally.status, tally.output = "completed", _shown(tally.op.does.answer.type, event.value)
        case Answered():
            _tell_verdict(tally, event, plan)
        case TimerFired():
            _tell_time(tally, event)
        case _:  # The others are about no step.
            pass


def _tell_time(tally: _Tally, fired: TimerFired) -> None:
    does = tally.op.does
    if fired.timer == "retry":
        tally.status = "running"
    elif isinstance(does, Ask) and (does.sleep or does.otherwise is not None) and fired.timer == "ask":
        tally.status = "completed"
    elif fired.timer in {"attempt", "ask"}:
        tally.status = "timed_out"
        tally.error = Error("timeout", "it ran out of time", tally.path)


def _tell_verdict(tally: _Tally, said: Answered, plan: Plan) -> None:
    """Somebody said whether a call that was interrupted happened."""
    agent = _agent(tally, plan)
    if said.value["happened"] and agent is not None:
        tally.status, tally.output = "completed", _shown(agent.output.type, said.value["output"])
    else:
        tally.status = "running"


def _question(tally: _Tally, asked: Asked, plan: Plan) -> Question:
    does, agent = tally.op.does, _agent(tally, plan)
    until = time_text(asked.until) if asked.until else None
    if isinstance(does, Ask):
        show = None if does.show is None else _shown(does.show.type, asked.show)
        return Question(asked.type, asked.sender, until, show)
    given = None if agent is None else _shown(agent.input.type, asked.show)
    return Question(asked.type, asked.sender, until, given, asked.interrupted)


def _output_type(tally: _Tally, plan: Plan) -> Type | None:
    agent = _agent(tally, plan)
    return None if agent is None else agent.output.type


def _agent(tally: _Tally, plan: Plan) -> LinkedAgent | None:
    """The agent that a step calls, as far as the journal has told."""
    return next((agent for agent in plan.agents if agent.name == tally.agent), None)


def _shown(type_: Type | None, value: Any) -> Any:
    """A journaled value, which is in JSON form, with its labelled parts redacted."""
    return UNSET if type_ is None else redact(type_, checker(type_).project(value))
