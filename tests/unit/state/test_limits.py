"""Reservations, counters, deadlines and places, run on the pure core with scripted agents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stratarouter_runtime.ids import LOCAL
from stratarouter_runtime.state.commands import CallAgent
from stratarouter_runtime.state.decide import begin, decide
from stratarouter_runtime.state.events import Failure, Started, Usage
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import NEVER, START, Reply, Simulated, Simulator

HEAD = """
tcfp: "1.0"
flow: test
agents:
  think: {in: {n: int}, out: {n: int}, effect: pure, cost: {usd: 0.03, tokens: 100}}
  free:  {in: {n: int}, out: {n: int}, effect: pure}
in: {n: int}
"""


def run(body: str, think: Any = None, free: Any = None) -> Simulated:
    scripts = {
        "think": think or (lambda given, _: Reply(given, usage=Usage(0.03, 60, 40))),
        "free": free or (lambda given, _: given),
    }
    return Simulator(plan_of(HEAD + body), scripts).run({"n": 1})


def ended(result: Simulated) -> str:
    assert result.finished is not None
    return result.finished.status if result.finished.failure is None else result.finished.failure.kind


THREE = """
out: int
do:
  - {call: think, with: {n: 1}}
  - {call: think, with: {n: 2}}
  - {call: think, with: {n: 3}}
return: 1
"""


def test_money_is_refused_before_it_is_spent() -> None:
    result = run("limits: {usd: 0.08}\n" + THREE)
    assert ended(result) == "limit.usd"
    assert len(result.calls) == 2
    assert result.finished is not None
    assert result.finished.usage.usd == 0.06
    assert result.finished.failure is not None
    assert "0.03 usd, 0.02 of 0.08 are left" in result.finished.failure.message


def test_a_limit_that_is_just_enough_is_enough() -> None:
    assert ended(run("limits: {usd: 0.09}\n" + THREE)) == "completed"


def test_what_a_call_really_took_settles_its_reservation() -> None:
    cheap = lambda given, _: Reply(given, usage=Usage(0.001, 6, 4))  # noqa: E731 - a script is one expression
    assert ended(run("limits: {usd: 0.04, tokens: 130}\n" + THREE, think=cheap)) == "completed"


def test_tokens_are_refused_likewise() -> None:
    result = run("limits: {tokens: 250}\n" + THREE)
    assert (ended(result), len(result.calls)) == ("limit.tokens", 2)


def test_reservations_of_calls_at_once_add_up() -> None:
    body = "limits: {usd: 0.05}\nout: int\ndo:\n  - par:\n      a: {call: think, with: {n: 1}}\n      b: {call: think, with: {n: 2}}\nreturn: 1\n"
    result = run(body)
    assert (ended(result), len(result.calls)) == ("limit.usd", 1)


INNER = """
out: int
do:
  - id: a
    limits: {usd: 0.05}
    do:
      - {call: think, with: {n: 1}, catch: [{on: [limit, agent], do: {let: {n: -9}}}]}
      - id: x
        call: think
        with: {n: 2}
        catch: [{on: [limit, agent], do: {let: {n: -9}}}]
    return: =x.n
    catch: [{on: [limit.usd], do: {let: -1}}]
return: =a
"""


def test_the_limit_of_an_outer_scope_cannot_be_caught_inside_it() -> None:
    result = run(INNER)
    assert result.finished is not None
    assert result.finished.output == -1


def test_a_withdrawn_call_counts_as_spent() -> None:
    body = """
limits: {usd: 0.05}
out: int
do:
  - {call: think, with: {n: 1}, time: 1s, catch: [{on: [timeout], do: {let: {n: 0}}}]}
  - {call: think, with: {n: 2}}
return: 1
"""
    slow = lambda given, _: NEVER if given["n"] == 1 else given  # noqa: E731 - a script is one expression
    assert ended(run(body, think=slow)) == "limit.usd"


def test_parallel_bounds_the_calls_at_once_in_written_order() -> None:
    body = """
limits: {parallel: 2}
out: int
do:
  - par:
      a: {call: free, with: {n: 1}}
      b: {call: free, with: {n: 2}}
      c: {call: free, with: {n: 3}}
      d: {call: free, with: {n: 4}}
      e: {call: free, with: {n: 5}}
return: 1
"""
    result = run(body)
    assert [(call.input["n"], call.at) for call in result.calls] == [
        (1, 0),
        (2, 0),
        (3, 1_000),
        (4, 1_000),
        (5, 2_000),
    ]


def test_a_place_is_given_back_when_its_call_is_withdrawn() -> None:
    body = """
limits: {parallel: 1}
out: int
do:
  - par:
      a: {call: free, with: {n: 1}, time: 1s, catch: [{on: [timeout], do: {let: {n: 0}}}]}
      b: {call: free, with: {n: 2}}
return: 1
"""
    result = run(body, free=lambda given, _: NEVER if given["n"] == 1 else given)
    assert ended(result) == "completed"
    assert [call.at for call in result.calls] == [0, 1_000_000]


def test_a_turn_that_comes_to_somebody_who_has_given_up_goes_to_the_next() -> None:
    body = """
limits: {parallel: 1}
out: int
do:
  - par:
      x:
        race:
          a: {call: free, with: {n: 1}}
          b: {call: free, with: {n: 2}}
          c: {call: free, with: {n: 3}}
      y: {call: free, with: {n: 4}}
return: 1
"""
    result = run(body)
    assert ended(result) == "completed"
    assert [call.input["n"] for call in result.calls] == [1, 4]


def test_time_of_the_flow_ends_it_as_timed_out() -> None:
    result = run(
        "limits: {time: 3s}\nout: int\ndo: [{call: free, with: {n: 1}}]\nreturn: 1\n", free=lambda *_: NEVER
    )
    assert result.finished is not None
    assert (result.finished.status, ended(result), result.took) == ("timed_out", "limit.time", 3_000_000)


def test_time_of_a_step_with_limits_can_be_caught_outside_of_it() -> None:
    body = """
out: int
do:
  - id: a
    limits: {time: 2s}
    do: [{call: free, with: {n: 1}, catch: [{on: [limit, agent], do: {let: {n: 1}}}]}]
    return: 0
    catch: [{on: [limit.time], do: {let: -1}}]
return: =a
"""
    result = run(body, free=lambda *_: NEVER)
    assert result.finished is not None
    assert (result.finished.output, result.took) == (-1, 2_000_000)


def test_the_limit_of_time_runs_on_through_retries() -> None:
    body = """
out: int
do:
  - id: a
    limits: {time: 2s}
    call: free
    with: {n: 1}
    time: 1500ms
    retry: {max: 3}
    catch: [{on: [limit.time], do: {let: {n: -1}}}]
return: =a.n
"""
    result = run(body, free=lambda *_: NEVER)
    assert result.finished is not None
    assert (result.finished.output, result.took, len(result.calls)) == (-1, 2_000_000, 2)


def test_another_attempt_of_a_step_is_no_other_step() -> None:
    body = """
limits: {steps: 2}
out: bool
do:
  - id: q
    ask: bool
    time: 1s
    retry: {max: 5}
    catch: [{on: [timeout], do: {let: false}}]
return: =q
"""
    result = run(body)
    assert ended(result) == "completed"
    assert result.took == 6_000_000


def test_the_steps_of_a_block_count_again_with_every_try() -> None:
    body = """
limits: {steps: 4}
out: int
do:
  - retry: {max: 9}
    do:
      - {call: free, with: {n: 1}}
      - {call: free, with: {n: 2}}
  - {let: 1}
return: 1
"""
    result = run(body, free=lambda given, _: given if given["n"] == 1 else Failure("agent.unavailable"))
    assert ended(result) == "limit.steps"
    assert [call.input["n"] for call in result.calls] == [1, 2, 1, 2]


def test_no_call_is_made_beside_one_whose_refusal_ends_the_whole() -> None:
    body = """
limits: {parallel: 2, usd: 0.02}
out: int
do:
  - par:
      x:
        time: 1s
        par:
          a: {call: free, with: {n: 1}}
          b: {call: free, with: {n: 2}}
        catch: [{on: [timeout], do: {let: {a: {n: 0}, b: {n: 0}}}}]
      y: {call: think, with: {n: 3}}
      z: {call: free, with: {n: 4}}
return: 1
"""
    result = run(body, free=lambda *_: NEVER)
    assert ended(result) == "limit.usd"
    assert [call.input["n"] for call in result.calls] == [1, 2]


def test_a_handler_is_charged_to_what_surrounds_its_step_not_to_the_limits_it_reached() -> None:
    body = """
out: int
do:
  - id: a
    limits: {usd: 0.04}
    do:
      - {call: think, with: {n: 1}}
      - {call: think, with: {n: 2}}
    return: 0
    catch: [{on: [limit.usd], do: {do: [{id: b, call: think, with: {n: 3}}], return: =b.n}}]
return: =a
"""
    result = run(body)
    assert ended(result) == "completed"
    assert result.finished is not None
    assert result.finished.output == 3


@pytest.mark.parametrize(
    ("flow", "inner", "time", "expected"),
    [("3s", "1s", "9s", 1), ("1s", "3s", "9s", 1), ("5s", "3s", "2s", 2), ("5s", "4s", None, 4)],
)
def test_a_call_knows_the_nearest_deadline_around_it(
    flow: str, inner: str, time: str | None, expected: int
) -> None:
    step = {"call": "free", "with": {"n": 1}} | ({} if time is None else {"time": time})
    body = f"limits: {{time: {flow}}}\nout: int\ndo: [{{limits: {{time: {inner}}}, do: [{json.dumps(step)}]}}]\nreturn: 1\n"
    plan = plan_of(HEAD + body)
    commands = decide(begin(plan, Started("e", plan.digest, {"n": 1}, "s", LOCAL), START))
    (call,) = [command for command in commands if isinstance(command, CallAgent)]
    assert call.deadline == START + expected * 1_000_000


def test_an_undo_is_never_refused_for_want_of_money() -> None:
    body = """
out: int
limits: {usd: 0.04}
do:
  - {id: a, call: think, with: {n: 1}, undo: {call: think, with: {n: 9}}}
  - {call: free, with: {n: 2}}
return: 1
"""
    result = run(body, free=lambda *_: Failure("agent.refused"))
    assert ended(result) == "agent.refused"
    assert [call.input["n"] for call in result.calls] == [1, 2, 9]
    assert result.finished is not None
    assert result.finished.undo_failed == ()
