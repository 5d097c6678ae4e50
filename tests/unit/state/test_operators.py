"""Each operator, run on the pure core with scripted agents."""

from __future__ import annotations

from typing import Any

import pytest

from stratarouter_runtime.state.events import Asked, Chosen, Failure, Scored
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import NEVER, Reply, Simulated, Simulator

AGENTS = """
tcfp: "1.0"
flow: test
agents:
  double: {in: {n: int}, out: {n: int}, effect: pure, about: doubles numbers}
  triple: {in: {n: int}, out: {n: int}, effect: pure, about: triples numbers}
  pay:    {in: {n: int}, out: {n: int}, effect: effect}
in: {n: int}
"""


def run(body: str, n: int = 1, **options: Any) -> Simulated:
    scripts = {
        "double": lambda given, _: {"n": given["n"] * 2},
        "triple": lambda given, _: {"n": given["n"] * 3},
        "pay": lambda given, _: {"n": given["n"]},
    } | options.pop("scripts", {})
    return Simulator(plan_of(AGENTS + body), scripts, **options).run({"n": n})


def output(body: str, n: int = 1, **options: Any) -> Any:
    result = run(body, n, **options)
    assert result.finished is not None
    assert result.finished.status == "completed", result.finished
    return result.finished.output


def failure(body: str, n: int = 1, **options: Any) -> Failure:
    result = run(body, n, **options)
    assert result.finished is not None
    assert result.finished.failure is not None
    return result.finished.failure


def test_steps_run_in_written_order_and_later_ones_see_earlier_ones() -> None:
    body = """
out: {n: int}
do:
  - {id: a, call: double, with: {n: =n}}
  - {id: b, call: triple, with: {n: =a.n}}
return: =b
"""
    result = run(body, 5)
    assert result.called == ["double", "triple"]
    assert result.finished is not None
    assert result.finished.output == {"n": 30}


def test_let_is_not_journaled() -> None:
    result = run("out: int\ndo: [{id: a, let: =n + 1}]\nreturn: =a * 2\n", 4)
    assert [type(event).__name__ for event in result.events] == ["Started", "Finished"]
    assert result.finished is not None
    assert result.finished.output == 10


def test_a_block_without_return_has_the_value_of_its_last_step() -> None:
    body = """
out: int
do:
  - id: a
    do:
      - {let: =n}
      - {let: =n + 7}
return: =a
"""
    assert output(body, 1) == 8


@pytest.mark.parametrize(("n", "expected"), [(1, "small"), (50, "big"), (500, "huge")])
def test_match_takes_the_arm_of_its_subject(n: int, expected: str) -> None:
    body = """
out: string
do:
  - id: a
    match: '=n > 100 ? "high" : n > 10 ? "mid" : "low"'
    cases: {low: {let: small}, mid: {let: big}, high: {let: huge}}
return: =a
"""
    assert output(body, n) == expected


@pytest.mark.parametrize(("n", "expected"), [(1, "odd one"), (2, "other")])
def test_match_on_a_bool_and_else(n: int, expected: str) -> None:
    body = """
out: string
do:
  - id: a
    match: =n == 1
    cases: {"true": {let: odd one}}
    else: {let: other}
return: =a
"""
    assert output(body, n) == expected


def test_par_runs_all_branches_at_once_and_gathers_a_record() -> None:
    body = """
out: {a: {n: int}, b: {n: int}}
do:
  - id: p
    par:
      a: {call: double, with: {n: =n}}
      b: {call: triple, with: {n: =n}}
return: =p
"""
    result = run(body, 2)
    assert [call.at for call in result.calls] == [0, 0]
    assert result.finished is not None
    assert result.finished.output == {"a": {"n": 4}, "b": {"n": 6}}


def test_the_first_failure_of_a_par_cancels_the_rest() -> None:
    body = """
out: {a: {n: int}, b: {n: int}}
do:
  - id: p
    par:
      a: {call: double, with: {n: =n}}
      b: {call: triple, with: {n: =n}}
return: =p
"""
    scripts = {"double": lambda *_: NEVER, "triple": lambda *_: Failure("agent.refused", "no")}
    found = failure(body, scripts=scripts)
    assert (found.kind, found.message) == ("agent.refused", "no")


def test_a_slow_branch_holds_up_nothing_beside_it() -> None:
    body = """
out: {a: {n: int}, b: {n: int}}
do:
  - id: p
    par:
      a: {call: pay, with: {n: =n}}
      b:
        do:
          - {id: x, call: double, with: {n: =n}}
          - {id: y, call: triple, with: {n: =x.n}}
return: =p
"""
    result = run(body, 1, scripts={"pay": lambda *_: Reply({"n": 0}, takes=1_000_000)})
    assert [(call.agent, call.at) for call in result.calls] == [("pay", 0), ("double", 0), ("triple", 1_000)]


def test_race_takes_the_first_that_succeeds() -> None:
    body = """
out: {by: [a, b], out: {n: int}}
do:
  - id: r
    race:
      a: {call: double, with: {n: =n}}
      b: {call: triple, with: {n: =n}}
return: =r
"""
    slow = {"double": lambda *_: Reply({"n": 0}, takes=9_000)}
    assert output(body, 2, scripts=slow) == {"by": "b", "out": {"n": 6}}
    failing = {"triple": lambda *_: Failure("agent.refused")}
    assert output(body, 2, scripts=failing | slow) == {"by": "a", "out": {"n": 0}}


def test_race_fails_when_all_branches_fail() -> None:
    body = """
out: {by: [a, b], out: {n: int}}
do:
  - id: r
    race:
      a: {call: double, with: {n: =n}}
      b: {call: triple, with: {n: =n}}
return: =r
"""
    refuse = {name: (lambda *_: Failure("agent.refused", "no")) for name in ("double", "triple")}
    assert failure(body, scripts=refuse).kind == "all_failed"


EACH = """
out: list<int>
do:
  - id: ns
    let: =[n, n + 1, n + 2, n + 3]
  - id: e
    each: =ns
    as: x
    at: i
    max: 4
    parallel: 2
    do: {call: double, with: {n: =x + i * 100}}
return: =e.map(r, r.n)
"""


def test_each_keeps_the_order_of_its_items_whatever_finishes_first() -> None:
    takes = {1: 9_000, 102: 1_000, 203: 5_000, 304: 1_000}
    scripts = {"double": lambda given, _: Reply({"n": given["n"] * 2}, takes=takes[given["n"]])}
    assert output(EACH, scripts=scripts) == [2, 204, 406, 608]


def test_each_runs_at_most_parallel_rounds_at_once() -> None:
    result = run(EACH)
    assert [call.at for call in result.calls] == [0, 0, 1_000, 1_000]
    assert [call.step for call in result.calls] == [f"1/each[{number}]" for number in range(4)]


def test_each_of_nothing_is_an_empty_list() -> None:
    body = "out: list<int>\ndo:\n  - {id: e, each: '=[n].filter(x, x > 5)', as: x, max: 3, do: {let: =x}}\nreturn: =e\n"
    assert output(body) == []


def test_each_refuses_more_items_than_max() -> None:
    body = "out: list<int>\ndo:\n  - {id: e, each: '=[n, n, n]', as: x, max: 2, do: {let: =x}}\nreturn: =e\n"
    found = failure(body)
    assert found.kind == "limit.items"
    assert "3 items" in found.message


LOOP = """
out: {n: int, turns: int}
do:
  - id: l
    loop: {n: =n, turns: 0}
    as: s
    max: 5
    while: =s.n < 100
    do:
      - {id: d, call: double, with: {n: =s.n}}
    return: {n: =d.n, turns: =s.turns + 1}
return: =l
"""


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, {"n": 32, "turns": 5}), (60, {"n": 120, "turns": 1}), (100, {"n": 100, "turns": 0})],
)
def test_loop_tests_first_and_turns_at_most_max_times(n: int, expected: dict[str, int]) -> None:
    assert output(LOOP, n) == expected


def test_steps_of_different_rounds_have_different_paths() -> None:
    steps = [call.step for call in run(LOOP, 1).calls]
    assert len(set(steps)) == 5


ASK = """
out: {verdict: [yes_, no_], by: string}
do:
  - id: q
    ask: {verdict: [yes_, no_]}
    from: boss
    show: {n: =n}
    time: 10m
    else: {verdict: no_}
return: {verdict: =q.verdict, by: person}
"""


def test_ask_waits_for_its_answer() -> None:
    result = run(ASK, answers={"0": {"verdict": "yes_"}})
    assert result.finished is not None
    assert result.finished.output == {"verdict": "yes_", "by": "person"}
    (asked,) = [event for event in result.events if isinstance(event, Asked)]
    assert (asked.sender, asked.show, asked.type) == ("boss", {"n": 1}, "{verdict: [no_, yes_]}")


def test_ask_takes_else_when_its_time_is_over() -> None:
    result = run(ASK)
    assert result.finished is not None
    assert result.finished.output == {"verdict": "no_", "by": "person"}
    assert result.took == 600_000_000


def test_ask_without_else_fails_with_timeout() -> None:
    assert failure(ASK.replace("    else: {verdict: no_}\n", "")).kind == "timeout"


def test_what_is_shown_with_a_question_has_to_be_json() -> None:
    body = ASK.replace("show: {n: =n}", "show: {n: =1.0 / 0.0}")
    assert failure(body).kind == "type"


def test_sleep_lets_time_pass() -> None:
    result = run("out: int\ndo:\n  - {sleep: 10m}\nreturn: =n\n", 3)
    assert result.finished is not None
    assert (result.finished.output, result.took) == (3, 600_000_000)


def test_fail_raises_its_kind_with_message_and_data() -> None:
    body = """
errors: {broke: {left: int}}
raises: [broke]
out: int
do:
  - {fail: broke, message: no money, data: {left: =n}}
return: =n
"""
    found = failure(body, 7)
    assert (found.kind, found.message, found.data, found.step) == ("broke", "no money", {"left": 7}, "0")


ROUTE = """
out: {by: [double, triple], n: int}
do:
  - id: r
    route: ="please " + string(n)
    among: [double, triple]
    with: {n: =n}
    rules: [{when: =n > 100, pick: triple}]
    min: 0.5
    else: double
return: {by: =r.by, n: =r.out.n}
"""


def choice(n: int, scores: tuple[float, ...]) -> Chosen:
    result = run(ROUTE, n, scores=lambda *_: scores)
    (chosen,) = [event for event in result.events if isinstance(event, Chosen)]
    assert result.finished is not None
    assert result.finished.output["by"] == chosen.agent
    return chosen


def test_route_by_meaning_takes_the_highest_score() -> None:
    chosen = choice(1, (0.6, 0.7))
    assert (chosen.agent, chosen.by, chosen.scores) == ("triple", "meaning", (0.6, 0.7))


def test_route_by_rule_does_not_score() -> None:
    chosen = choice(101, ())
    assert (chosen.agent, chosen.by, chosen.rule) == ("triple", "rule", 0)


def test_route_below_min_falls_to_else() -> None:
    chosen = choice(1, (0.1, 0.2))
    assert (chosen.agent, chosen.by) == ("double", "else")


def test_route_below_min_without_else_fails() -> None:
    body = ROUTE.replace("    else: double\n", "")
    assert failure(body, scores=lambda *_: (0.1, 0.2)).kind == "no_route"


def test_ties_are_decided_by_written_order() -> None:
    assert choice(1, (0.7, 0.7)).agent == "double"


def test_a_route_whose_input_fails_after_the_choice_chooses_again_when_it_is_retried() -> None:
    body = ROUTE.replace("with: {n: =n}", "with: {n: =10 / n}").replace(
        "min: 0.5", "min: 0.5\n    retry: {max: 1, on: [expression]}"
    )
    result = run(body, 0, scores=lambda *_: (0.6, 0.7))
    assert result.finished is not None
    assert result.finished.failure is not None
    assert result.finished.failure.kind == "expression"
    assert [event.attempt for event in result.events if isinstance(event, Scored)] == [1, 2]
    assert [event.attempt for event in result.events if isinstance(event, Chosen)] == [1, 2]
