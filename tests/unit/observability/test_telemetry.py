from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from stratarouter_runtime.ids import AgentName, Digest, ExecutionId, FlowId, StepPath, Tenant
from stratarouter_runtime.observability.figures import NAMES, OTHERS, Counters
from stratarouter_runtime.observability.telemetry import UNKNOWN, Ended, Step, Telemetry
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.state.events import (
    Answered,
    Chosen,
    Failed,
    Failure,
    Finished,
    Interrupted,
    Record,
    Returned,
    Started,
    TimerFired,
    Usage,
)
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.testing.plans import plan_of

FLOW = """tcfp: "1.0"
flow: two
agents:
  left: {in: {n: int}, out: {n: int}, effect: pure}
  right: {in: {n: int}, out: {n: int}, effect: pure, about: right}
in: {n: int}
out: {n: int}
do:
  - id: a
    call: left
    with: {n: =n}
  - id: e
    each: =[n]
    as: m
    max: 3
    do: {call: right, with: {n: =m}}
return: {n: =a.n}
"""
PLAN = plan_of(FLOW)
A, EACH = (StepPath(op.path) for op in PLAN.ops if type(op.does).__name__ == "Call")
INPUT = Digest("0" * 64)
ROW = Execution(ExecutionId("exec_1"), Tenant("t"), FlowId("two"), PLAN.digest, "running", 1_000_000, 0, 1)
STARTED = Started("exec_1", PLAN.digest, {"n": 1}, "s", Tenant("t"))


class Heard:
    """Telemetry of one plan, and what it told."""

    def __init__(self, plan: Plan | None = PLAN) -> None:
        self.counters = Counters()
        self.telemetry = Telemetry(self.counters, lambda _: plan)
        self.ended: list[Ended] = []
        self.steps: list[Step] = []
        self.telemetry.when_ended(self.ended.append)
        self.telemetry.for_steps(self.steps.append)

    def hear(self, *events: Any, at: int = 3_000_000) -> None:
        records: Sequence[Record] = [Record(seq, at, b"", b"") for seq, _ in enumerate(events)]
        self.telemetry.recorded(ROW, records, events)


def test_a_whole_execution_is_counted() -> None:
    heard = Heard()
    heard.hear(STARTED)
    heard.hear(Returned(A, INPUT, {"n": 1}, 1, Usage(0.5, 10, 4, 20.0)))
    heard.hear(Returned(StepPath(f"{EACH}[2]"), INPUT, {"n": 1}), Finished("completed"))
    figures = heard.counters.stats()
    assert figures.started == {"two": 1}
    assert figures.ended == {("two", "completed"): 1}
    assert (sum(figures.duration["two"].counts), figures.duration["two"].total) == (1, 2.0)
    assert figures.steps == {"call": 2, "ask": 0}
    assert figures.calls == {
        ("left", "returned"): 1,
        ("right", "returned"): 1,
        ("left", "failed"): 0,
        ("right", "failed"): 0,
    }
    assert figures.tokens["left", "input"] == 10
    assert figures.tokens["left", "output"] == 4
    assert figures.cost == {"left": 0.5, "right": 0.0}
    assert figures.call_seconds["left"].total == pytest.approx(0.02)
    assert sum(figures.call_seconds["right"].counts) == 0
    assert figures.facts == 4
    (ended,) = heard.ended
    assert (ended.steps, ended.at, ended.started) == (2, 3_000_000, STARTED)


def test_failures_are_counted_by_kind_and_attempts_after_the_first_are_retries() -> None:
    heard = Heard()
    heard.hear(STARTED)
    heard.hear(Failed(A, INPUT, Failure("agent.refused"), 1, Usage(0.1)))
    heard.hear(TimerFired(A, "attempt", 2))
    heard.hear(TimerFired(A, "retry", 2))
    heard.hear(Interrupted(A, 3))
    heard.hear(Returned(A, INPUT, None, 3))
    figures = heard.counters.stats()
    kinds = {"agent.refused": 1, "agent.timeout": 1, "interrupted": 1}
    assert figures.failures == {("left", kind): count for kind, count in kinds.items()}
    assert figures.retries == 2
    assert figures.cost["left"] == 0.1
    assert [(step.attempt, step.failure) for step in heard.steps] == [
        (1, "agent.refused"),
        (2, "agent.timeout"),
        (3, ""),
    ]


def test_a_route_counts_what_decided_and_the_call_for_who_was_chosen() -> None:
    heard = Heard()
    heard.hear(STARTED)
    heard.hear(Chosen(StepPath("9"), AgentName("right"), "rule"))
    heard.hear(Returned(StepPath("9"), INPUT), Answered(StepPath("8")))
    figures = heard.counters.stats()
    assert figures.routes == {"rule": 1}
    assert figures.calls["right", "returned"] == 1
    assert figures.steps == {"call": 1, "ask": 1}


def test_a_fork_counts_nothing_of_what_it_took_over() -> None:
    heard = Heard()
    forked = Started("exec_2", PLAN.digest, {"n": 1}, "s", Tenant("t"), forked="exec_1")
    heard.hear(forked, Returned(A, INPUT, None, 1, Usage(9.0)))
    heard.hear(Returned(StepPath(f"{EACH}[0]"), INPUT), Finished("completed"))
    figures = heard.counters.stats()
    assert "left" not in figures.cost or figures.cost["left"] == 0
    assert figures.calls["right", "returned"] == 1
    assert heard.ended[0].steps == 2


def test_what_another_process_began_is_told_as_such() -> None:
    heard = Heard()
    heard.hear(Returned(A, INPUT), Finished("completed"))
    assert heard.ended[0].started is None
    figures = heard.counters.stats()
    assert (figures.taken_up, figures.started, figures.ended) == (1, {"two": 0}, {("two", "completed"): 1})


def test_an_agent_of_a_plan_that_is_not_in_memory_is_unknown() -> None:
    heard = Heard(plan=None)
    heard.hear(STARTED)
    heard.hear(Returned(A, INPUT))
    assert heard.counters.stats().calls[UNKNOWN, "returned"] == 1


def test_names_beyond_the_bound_count_as_one() -> None:
    counters = Counters()
    for number in range(NAMES + 5):
        counters.workflow(f"w{number}").started += 1
    started = counters.stats().started
    assert len(started) == NAMES + 1
    assert started[OTHERS] == 5
    assert counters.workflow("w3") is counters.workflow("w3")
