"""Budgets under attack: agents that lie, branches that race, retries, undos, and flows that call flows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.state.test_limits import HEAD, THREE, ended, run

from stratarouter_runtime.ids import LOCAL, AgentName
from stratarouter_runtime.state.commands import CallAgent
from stratarouter_runtime.state.decide import begin, decide
from stratarouter_runtime.state.events import Allowance, Budget, Failure, Started, Usage
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import Reply, Simulator

PAR = """
limits: {usd: 0.06}
out: int
do:
  - par:
      a: {call: think, with: {n: 1}}
      b: {call: think, with: {n: 2}}
      c: {call: think, with: {n: 3}}
return: 1
"""


def commanded(body: str, **started: Any) -> list[CallAgent]:
    """The calls that are made at once, before anything was answered."""
    plan = plan_of(HEAD + body)
    fact = Started("exec_1", plan.digest, {"n": 1}, "5eed", LOCAL, **started)
    return [each for each in decide(begin(plan, fact, 0)) if isinstance(each, CallAgent)]


def test_of_branches_that_race_for_the_last_cent_one_fewer_is_begun() -> None:
    result = run(PAR)
    assert (ended(result), len(result.calls)) == ("limit.usd", 2)


@given(st.lists(st.floats(0, 10), min_size=3, max_size=3))
def test_whatever_agents_say_no_call_is_begun_once_a_budget_is_passed(told: list[float]) -> None:
    said = iter(told)

    def think(given: Any, _: int) -> Any:
        return Reply(given, usage=Usage(next(said), 10))

    result = run("limits: {usd: 0.05}\n" + THREE, think=think)
    spent = 0.0
    for call, usd in zip(result.calls, told, strict=False):
        assert spent + 0.03 <= 0.05 + 1e-9, call
        spent += usd


def test_each_attempt_is_reserved_anew() -> None:
    body = """
limits: {usd: 0.08}
out: int
do:
  - {call: think, with: {n: 1}, retry: {max: 5, wait: 1s}}
return: 1
"""
    failing = lambda _given, _attempt: Reply(failure=Failure("agent.unavailable"), usage=Usage(0.03, 1))  # noqa: E731 - one line says it
    result = run(body, think=failing)
    assert (ended(result), len(result.calls)) == ("limit.usd", 2)


def test_a_handler_spends_what_is_left_of_the_scope_around_it() -> None:
    body = """
limits: {usd: 0.05}
out: int
do:
  - call: free
    with: {n: 1}
    catch:
      - {on: [agent], do: {do: [{call: think, with: {n: 1}}, {call: think, with: {n: 2}}]}}
return: 1
"""
    failing = lambda _given, _attempt: Failure("agent.refused")  # noqa: E731 - a script is one expression
    result = run(body, free=failing)
    assert (ended(result), [call.agent for call in result.calls]) == ("limit.usd", ["free", "think"])


def test_undos_are_never_refused_and_always_charged() -> None:
    body = """
limits: {usd: 0.08}
out: int
do:
  - do:
      - {call: free, with: {n: 1}, undo: {call: think, with: {n: 9}}}
      - {call: free, with: {n: 2}}
    catch: [{on: [agent], do: {let: {n: 0}}}]
  - {call: think, with: {n: 3}}
  - {call: think, with: {n: 4}}
return: 1
"""
    second = lambda given, _: Failure("agent.refused") if given["n"] == 2 else given  # noqa: E731 - one line says it
    result = run(body, free=second)
    assert [call.input["n"] for call in result.calls if call.agent == "think"] == [9, 3]
    assert ended(result) == "limit.usd"


# Flows that are called: to the core, an agent that is told what is left.


def test_a_call_is_told_what_is_left_its_own_reservation_included() -> None:
    (call,) = commanded(
        "limits: {usd: 0.10, tokens: 500}\nout: int\ndo:\n  - {call: think, with: {n: 1}}\nreturn: 1\n"
    )
    assert call.budget == Budget(0.10, 500)


def test_calls_at_once_are_not_told_of_what_the_others_have_reserved() -> None:
    assert [call.budget for call in commanded(PAR.replace("0.06", "0.09"))] == [
        Budget(0.09, None),
        Budget(0.06, None),
        Budget(0.03, None),
    ]


def test_the_innermost_of_several_limits_counts() -> None:
    body = """
limits: {usd: 0.10, tokens: 300}
out: int
do:
  - limits: {usd: 0.04}
    do: [{call: think, with: {n: 1}}]
return: 1
"""
    (call,) = commanded(body)
    assert call.budget == Budget(0.04, 300)


def test_without_limits_nothing_is_said() -> None:
    (call,) = commanded("out: int\ndo:\n  - {call: think, with: {n: 1}}\nreturn: 1\n")
    assert call.budget is None


@pytest.mark.parametrize(
    ("limits", "kind", "ends"),
    [
        ("{usd: 0.10}", "limit.usd", "limit.usd"),
        ("{tokens: 500}", "limit.tokens", "limit.tokens"),
        ("{usd: 0.10}", "limit.tokens", "agent.unavailable"),
        ("{parallel: 1}", "limit.usd", "agent.unavailable"),
    ],
)
def test_what_ran_out_below_fails_the_scope_whose_it_was(limits: str, kind: str, ends: str) -> None:
    body = f"limits: {limits}\n{THREE}"
    out = lambda _given, _attempt: Reply(failure=Failure(kind, "0.02 of 0.1 are left"), usage=Usage(0.08, 90))  # noqa: E731 - one line says it
    result = run(body, think=out)
    assert (ended(result), len(result.calls)) == (ends, 1)


def test_what_ran_out_below_cannot_be_caught_inside_of_the_scope() -> None:
    body = """
out: int
do:
  - id: a
    limits: {usd: 0.05}
    do:
      - {call: think, with: {n: 1}, retry: {max: 3, wait: 1s}, catch: [{on: [limit, agent], do: {let: {n: 0}}}]}
    return: 1
    catch: [{on: [limit.usd], do: {let: -1}}]
return: =a
"""
    out = lambda _given, _attempt: Reply(failure=Failure("limit.usd", "used up"), usage=Usage(0.05, 1))  # noqa: E731 - one line says it
    result = run(body, think=out)
    assert result.finished is not None
    assert (result.finished.output, len(result.calls)) == (-1, 1)


def test_a_flow_that_is_called_allows_no_more_than_its_caller() -> None:
    body = "limits: {hosts: [a.test, b.test]}\nout: int\ndo:\n  - {call: free, with: {n: 1}}\nreturn: 1\n"
    (call,) = commanded(body, allowed=Allowance(hosts=("b.test", "c.test"), tools=()))
    assert (call.allowed.hosts, call.allowed.tools) == (frozenset({"b.test"}), frozenset())


def test_undos_and_handlers_are_held_to_the_limits_of_their_step() -> None:
    body = """
out: int
do:
  - limits: {hosts: [a.test]}
    do:
      - {call: free, with: {n: 1}, undo: {call: free, with: {n: 2}}}
      - {call: free, with: {n: 3}}
    catch: [{on: [agent], do: {call: free, with: {n: 4}}}]
  - {call: free, with: {n: 5}}
return: 1
"""
    plan = plan_of(HEAD + body)
    calls = [op for op in plan.ops if op.name == "call free"]
    assert [op.allowed.hosts for op in calls if "1" not in op.path.split("/")[:1]] == [
        frozenset({"a.test"})
    ] * 4
    third = lambda given, _: Failure("agent.refused") if given["n"] == 3 else given  # noqa: E731 - one line says it
    assert ended(Simulator(plan, {"free": third}).run({"n": 1})) == "completed"


def test_labels_of_what_is_given_go_along() -> None:
    source = """
tcfp: "1.0"
flow: labelled
agents:
  keep: {in: {text: string, rest: string}, out: string, effect: pure, accepts: [pii]}
  other: {in: {text: string}, out: string, effect: pure}
in: {ssn: "string @pii", subject: string}
out: json
do:
  - {id: a, call: keep, with: {text: =ssn, rest: =subject}}
  - {id: b, call: other, with: {text: =subject}}
return: 1
"""
    plan = plan_of(source)
    carried = [op.carries for op in plan.ops if op.name.startswith("call")] or [op.carries for op in plan.ops]
    assert {AgentName("keep"): frozenset({"pii"})} in carried
    assert sum(len(each) for each in carried) == 1
