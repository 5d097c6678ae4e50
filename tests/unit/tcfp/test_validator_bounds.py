"""Worst cases: how they add up, and how they are held against limits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.tcfp.checking import checked, codes, example, flow

from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.plan import Bound
from stratarouter_runtime.tcfp.validation import bounds
from stratarouter_runtime.tcfp.validation.bounds import Worst
from stratarouter_runtime.tcfp.validator import validate

S = 1_000_000

WORST = [
    ("- let: 1", Bound(1, 0, 0.0, 0, 0)),
    ("- call: pure\n  with: { n: 1 }", Bound(1, 1, 1.0, 10, S)),
    ("- call: pure\n  with: { n: 1 }\n  time: 500ms", Bound(1, 1, 1.0, 10, S // 2)),
    ("- call: safe\n  with: { n: 1 }", Bound(1, 1, 0.0, 0, 0)),
    ("- call: pure\n  with: { n: 1 }\n  retry: { max: 2, wait: 1s, factor: 3 }", Bound(1, 3, 3.0, 30, 7 * S)),
    ("- do: [{ call: pure, with: { n: 1 } }, { sleep: 2s }]\n  retry: { max: 1 }", Bound(2, 2, 2.0, 20, 6 * S)),
    ("- par: { a: { call: pure, with: { n: 1 } }, b: { sleep: 2s } }", Bound(2, 1, 1.0, 10, 2 * S)),
    ("- race: { a: { call: pure, with: { n: 1 } }, b: { sleep: 2s } }", Bound(2, 1, 1.0, 10, 2 * S)),
    ("- match: =n > 1\n  cases: { true: { do: [{ sleep: 9s }, { let: 1 }] } }\n  else: { call: pure, with: { n: 1 } }", Bound(2, 1, 1.0, 10, 9 * S)),
    ("- each: =many\n  max: 10\n  do: { call: pure, with: { n: 1 } }", Bound(10, 10, 10.0, 100, S)),
    ("- each: =many\n  max: 10\n  parallel: 4\n  do: { call: pure, with: { n: 1 } }", Bound(10, 10, 10.0, 100, 3 * S)),
    ("- loop: 0\n  as: k\n  max: 5\n  while: =k < 3\n  do: [{ call: pure, with: { n: 1 } }]\n  return: =k + 1", Bound(5, 5, 5.0, 50, 5 * S)),
    ("- call: pure\n  with: { n: 1 }\n  catch: [{ on: [agent], do: { call: pure, with: { n: 2 } } }]", Bound(2, 2, 2.0, 20, 2 * S)),
    ("- let: 1\n  undo: { call: pure, with: { n: 1 }, retry: { max: 0 } }", Bound(2, 1, 1.0, 10, S)),
    ("- let: 1\n  undo: { call: pure, with: { n: 1 } }", Bound(2, 4, 4.0, 40, 4 * S + 700_000)),
    ("- route: x\n  among: [text, open]\n  with: { s: x }", Bound(1, 1, 0.0, 0, 0)),
    ("- call: pure\n  with: { n: 1 }\n  limits: { time: 100ms }", Bound(1, 1, 1.0, 10, S // 10)),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "worst"), WORST)
def test_worst_cases_add_up(steps: str, worst: Bound) -> None:
    assert checked(steps).worst.bound() == worst


def test_the_examples_stay_within_their_budgets() -> None:
    triage = validate(flow(example("support_triage"))).worst
    assert (triage.steps, triage.tokens, round(triage.usd, 6)) == (4, 10_500, 0.036)
    reduce = validate(flow(example("map_reduce"))).worst
    assert (reduce.steps, reduce.tokens, round(reduce.usd, 6)) == (402, 1_512_000, 0.62)


@pytest.mark.parametrize(("most", "found"), [(1000, []), (1001, ["E313"])])
def test_a_loop_may_turn_as_often_as_the_host_allows(most: int, found: list[str]) -> None:
    each = f"- each: =many\n  max: {most}\n  do: {{ let: 1 }}"
    assert codes(checked(each)) == found


def test_limits_may_lower_the_steps_but_not_raise_them() -> None:
    twice = "- each: =many\n  max: 501\n  do: [{ let: 1 }, { let: 2 }]"
    (found,) = checked(twice, head="limits: { steps: 5000 }\n").diagnostics
    assert (found.code, found.message) == ("E350", "worst case is 1002 steps, limit 1000")
    (found,) = checked("- each: =many\n  max: 9\n  do: { let: 1 }", head="limits: { steps: 8 }\n").diagnostics
    assert (found.code, found.message, found.pointer) == ("E350", "worst case is 9 steps, limit 8", "/limits")


def test_a_budget_that_is_met_exactly_is_not_exceeded() -> None:
    call = "- call: pure\n  with: { n: 1 }\n  retry: { max: 2 }\n"
    assert codes(checked(call, head="limits: { usd: 3.0, tokens: 30 }\n")) == []
    assert codes(checked(call, head="limits: { usd: 2.9, tokens: 29 }\n")) == ["W351", "W351"]


def test_the_budget_of_a_step_holds_for_all_below_it() -> None:
    block = (
        "- limits: { tokens: 15 }\n  do: [{ call: pure, with: { n: 1 } }, { call: pure, with: { n: 1 } }]\n"
    )
    (found,) = checked(block).diagnostics
    assert (found.code, found.pointer) == ("W351", "/do/0/limits/tokens")


HOURS = [
    ("- sleep: 1h", "", []),
    ("- sleep: 61m", "", ["W352"]),
    ("- ask: bool\n  time: 2h\n  else: true", "", ["W352"]),
    ("- sleep: 40m\n- sleep: 40m", "", ["W352"]),
    ("- sleep: 40m\n- sleep: 40m", "limits: { time: 1h }\n", []),
    ("- call: safe\n  with: { n: 1 }", "", []),
]


@pytest.mark.parametrize(("steps", "head", "found"), HOURS)
def test_what_may_take_more_than_an_hour_needs_permission(steps: str, head: str, found: list[str]) -> None:
    assert sorted(set(codes(checked(steps, head=head)))) == found


worst_cases = st.builds(
    Worst,
    steps=st.integers(0, 50),
    attempts=st.integers(0, 50),
    usd=st.integers(0, 100).map(float),
    tokens=st.integers(0, 1000),
    time=st.none() | st.integers(0, 10_000),
)


def measures(worst: Worst) -> tuple[float, ...]:
    endless = float("inf")
    time = endless if worst.time is None else worst.time
    return (worst.steps, worst.attempts, worst.usd, worst.tokens, time)


@given(st.lists(worst_cases, max_size=5))
def test_one_after_the_other_costs_most_and_one_of_them_least(parts: list[Worst]) -> None:
    orders = (bounds.dearest(parts), bounds.together(parts), bounds.sequence(parts))
    for less, more in pairwise(orders):
        assert all(a <= b for a, b in zip(measures(less), measures(more), strict=True))


@given(worst_cases, st.integers(1, 20), st.integers(1, 20))
def test_side_by_side_saves_time_and_nothing_else(part: Worst, times: int, at_once: int) -> None:
    in_turn, beside = bounds.repeated(part, times), bounds.repeated(part, times, at_once)
    assert measures(in_turn)[:4] == measures(beside)[:4]
    assert measures(beside)[4] <= measures(in_turn)[4]


@given(worst_cases, st.integers(0, 5), st.integers(0, 1000))
def test_retries_multiply_what_is_spent_and_no_steps(part: Worst, more: int, wait: int) -> None:
    again = bounds.retried(part, ir.Retry(max=more, wait=wait))
    assert again.steps == part.steps
    assert again.tokens == part.tokens * (1 + more)
    assert again.time == (None if part.time is None else part.time * (1 + more) + wait * more)


def test_waits_that_grow_without_end_are_counted_without_end() -> None:
    assert bounds.retried(Worst(time=0), ir.Retry(max=10_000, wait=1, factor=1000.0)).time is not None


def test_what_can_be_spent_is_capped_by_limits() -> None:
    dear = Worst(steps=9, attempts=9, usd=9.0, tokens=9, time=None)
    assert bounds.capped(dear, None) == dear
    limits = ir.Limits(usd=1.0, tokens=2, time=3, steps=4)
    assert bounds.capped(dear, limits) == Worst(steps=4, attempts=9, usd=1.0, tokens=2, time=3)
