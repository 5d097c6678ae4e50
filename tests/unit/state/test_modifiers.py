"""Guards, time, retry, catch and undo, run on the pure core with scripted agents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stratarouter_runtime.state.events import Failed, Failure, TimerFired
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import NEVER, Reply, Simulated, Simulator

HEAD = """
tcfp: "1.0"
flow: test
agents:
  ask:   {in: {n: int}, out: {n: int}, effect: pure}
  book:  {in: {n: int}, out: {ref: int}, effect: idempotent, errors: [sold_out]}
  drop:  {in: {ref: int}, out: {done: bool}, effect: idempotent}
  mail:  {in: {n: int}, out: {sent: bool}, effect: effect}
errors: {sold_out: null, broke: {left: int}}
raises: [sold_out, broke]
in: {n: int}
"""

SOLD_OUT = Failure("sold_out")


def run(body: str, n: int = 1, scripts: dict[str, Callable[[Any, int], Any]] | None = None) -> Simulated:
    usual: dict[str, Callable[[Any, int], Any]] = {
        "ask": lambda given, _: {"n": given["n"]},
        "book": lambda given, _: {"ref": given["n"]},
        "drop": lambda *_: {"done": True},
        "mail": lambda *_: {"sent": True},
    }
    return Simulator(plan_of(HEAD + body), usual | (scripts or {})).run({"n": n})


def ended(result: Simulated) -> tuple[str, Any]:
    assert result.finished is not None
    failure = result.finished.failure
    return result.finished.status, result.finished.output if failure is None else failure.kind


GUARDED = (
    "types: {N: {n: int}}\nout: N?\ndo:\n  - {id: a, if: =n > 5, call: ask, with: {n: =n}}\nreturn: =a\n"
)


@pytest.mark.parametrize(("n", "expected", "calls"), [(9, {"n": 9}, 1), (1, None, 0)])
def test_a_step_whose_guard_says_no_is_null(n: int, expected: Any, calls: int) -> None:
    result = run(GUARDED, n)
    assert ended(result) == ("completed", expected)
    assert len(result.calls) == calls


RETRIED = """
out: {n: int}
do:
  - id: a
    call: ask
    with: {n: =n}
    retry: {max: 2, wait: 100ms, factor: 3.0}
return: =a
"""


def failing(times: int, kind: str = "agent.unavailable") -> dict[str, Callable[[Any, int], Any]]:
    return {"ask": lambda given, attempt: Failure(kind, "down") if attempt <= times else {"n": given["n"]}}


def test_retry_tries_again_after_a_jittered_wait_that_grows() -> None:
    result = run(RETRIED, scripts=failing(2))
    assert ended(result) == ("completed", {"n": 1})
    first, second, third = (call.at for call in result.calls)
    assert 50_000 <= second - first - 1_000 <= 100_000
    assert 150_000 <= third - second - 1_000 <= 300_000


def test_every_attempt_is_a_record_with_its_number() -> None:
    result = run(RETRIED, scripts=failing(2))
    assert [event.attempt for event in result.events if isinstance(event, Failed)] == [1, 2]


def test_retry_gives_up_after_max() -> None:
    result = run(RETRIED, scripts=failing(9))
    assert ended(result) == ("failed", "agent.unavailable")
    assert len(result.calls) == 3


def test_the_same_seed_waits_as_long_and_another_does_not() -> None:
    plan = plan_of(HEAD + RETRIED)
    took = [Simulator(plan, failing(2), seed=seed).run({"n": 1}).took for seed in ("a", "a", "b")]
    assert took[0] == took[1] != took[2]


def test_without_on_only_what_may_pass_is_retried() -> None:
    body = RETRIED.replace("call: ask", "call: book").replace("out: {n: int}", "out: {ref: int}")
    result = run(body, scripts={"book": lambda *_: SOLD_OUT})
    assert ended(result) == ("failed", "sold_out")
    assert len(result.calls) == 1
    named = body.replace("factor: 3.0", "on: [sold_out]")
    assert len(run(named, scripts={"book": lambda *_: SOLD_OUT}).calls) == 3


TIMED = """
out: {n: int}
do:
  - id: a
    call: ask
    with: {n: =n}
    time: 2s
    catch: [{on: [timeout], do: {let: {n: -1}}}]
return: =a
"""


def test_time_ends_an_attempt_and_catch_takes_over() -> None:
    result = run(TIMED, scripts={"ask": lambda *_: NEVER})
    assert ended(result) == ("completed", {"n": -1})
    assert result.took == 2_000_000
    assert [event.timer for event in result.events if isinstance(event, TimerFired)] == ["attempt"]


def test_time_bounds_each_attempt_within_retry() -> None:
    body = TIMED.replace("    catch:", "    retry: {max: 1}\n    catch:")
    result = run(body, scripts={"ask": lambda *_: NEVER})
    assert [call.at for call in result.calls] == [0, 2_000_000]
    assert result.took == 4_000_000


def test_time_on_a_block_ends_everything_in_it() -> None:
    body = """
out: {n: int}
do:
  - id: a
    time: 1s
    do:
      - {call: ask, with: {n: =n}}
      - {sleep: 5s}
    return: {n: =n}
    catch: [{on: [timeout], do: {let: {n: -1}}}]
return: =a
"""
    result = run(body)
    assert ended(result) == ("completed", {"n": -1})
    assert result.took == 1_000_000


def test_the_first_handler_that_catches_the_kind_runs() -> None:
    body = """
out: {n: int}
do:
  - id: a
    call: ask
    with: {n: =n}
    catch:
      - {on: [timeout], do: {let: {n: -1}}}
      - {on: [agent], as: e, do: {let: {n: '=e.kind == "agent.refused" ? 7 : 8'}}}
      - {on: [agent.refused], do: {let: {n: -3}}}
return: =a
"""
    assert ended(run(body, scripts={"ask": lambda *_: Failure("agent.refused")})) == ("completed", {"n": 7})


def test_a_handler_sees_kind_message_and_data() -> None:
    body = """
out: {left: int, said: string}
do:
  - id: a
    do:
      - {fail: broke, message: too dear, data: {left: =n}}
    catch: [{on: [broke], do: {let: {left: =error.data.left, said: =error.message}}}]
return: =a
"""
    assert ended(run(body, 4)) == ("completed", {"left": 4, "said": "too dear"})


def test_what_a_handler_raises_is_not_caught_by_its_neighbours() -> None:
    body = """
out: {n: int}
do:
  - id: a
    call: ask
    with: {n: =n}
    catch:
      - {on: [agent], do: {fail: broke, data: {left: 1}}}
      - {on: [broke], do: {let: {n: -3}}}
return: =a
"""
    refused = {"ask": lambda *_: Failure("agent.refused")}
    assert ended(run(body.replace("      - {on: [broke], do: {let: {n: -3}}}\n", ""), scripts=refused)) == (
        "failed",
        "broke",
    )


def test_an_output_of_the_wrong_type_is_a_failure_that_can_be_caught() -> None:
    body = TIMED.replace("[timeout]", "[agent.invalid_output]")
    assert ended(run(body, scripts={"ask": lambda *_: {"n": "text"}})) == ("completed", {"n": -1})


def test_an_expression_that_fails_is_a_failure_of_its_step() -> None:
    body = (
        "out: int\ndo:\n  - {id: a, let: =10 / n, catch: [{on: [expression], do: {let: -1}}]}\nreturn: =a\n"
    )
    assert ended(run(body, 0)) == ("completed", -1)
    assert ended(run(body, 5)) == ("completed", 2)


SAGA = """
out: {ref: int}
do:
  - id: t
    do:
      - {id: a, call: book, with: {n: 1}, undo: {call: drop, with: {ref: =a.ref}}}
      - id: p
        par:
          x: {id: b, call: book, with: {n: 2}, undo: {call: drop, with: {ref: =b.ref}}}
          y: {id: c, call: book, with: {n: 3}, undo: {call: drop, with: {ref: =c.ref}}}
      - {id: d, call: book, with: {n: 4}, undo: {call: drop, with: {ref: =d.ref}}}
    return: {ref: =d.ref}
    catch: [{on: [sold_out], do: {let: {ref: -1}}}]
return: =t
"""


def dropped(result: Simulated) -> list[int]:
    return [call.input["ref"] for call in result.calls if call.agent == "drop"]


def selling(**takes: int) -> dict[str, Callable[[Any, int], Any]]:
    """Booking that sells out at 4, and takes as long as told."""

    def book(given: Any, _: int) -> Any:
        n = given["n"]
        return SOLD_OUT if n == 4 else Reply({"ref": n}, takes=takes.get(f"n{n}", 1_000))

    return {"book": book}


def test_undos_run_in_reverse_order_of_completion_before_the_handler() -> None:
    result = run(SAGA, scripts=selling(n2=9_000, n3=1_000))
    assert ended(result) == ("completed", {"ref": -1})
    assert dropped(result) == [2, 3, 1]
    assert dropped(run(SAGA, scripts=selling(n2=1_000, n3=9_000))) == [3, 2, 1]


def test_undos_run_one_after_the_other() -> None:
    at = [call.at for call in run(SAGA, scripts=selling()).calls if call.agent == "drop"]
    assert len(set(at)) == 3


def test_success_drops_all_undos() -> None:
    result = run(SAGA, scripts={"book": lambda given, _: {"ref": given["n"]}})
    assert ended(result) == ("completed", {"ref": 4})
    assert dropped(result) == []


def test_a_block_that_succeeds_hands_its_undos_to_its_parent() -> None:
    body = """
out: int
do:
  - do:
      - {id: a, call: book, with: {n: 1}, undo: {call: drop, with: {ref: =a.ref}}}
  - {fail: broke, data: {left: 0}}
return: 1
"""
    result = run(body)
    assert ended(result) == ("failed", "broke")
    assert dropped(result) == [1]


def test_an_undo_is_retried_and_what_stays_undone_is_reported_beside_the_failure() -> None:
    body = """
out: int
do:
  - {id: a, call: book, with: {n: 1}, undo: {call: drop, with: {ref: =a.ref}}}
  - {id: b, call: book, with: {n: 2}, undo: {call: drop, with: {ref: =b.ref}}}
  - {fail: broke, data: {left: 0}}
return: 1
"""

    def drop(given: Any, attempt: int) -> Any:
        return Failure("agent.unavailable", "down") if given["ref"] == 2 else {"done": True}

    result = run(body, scripts={"drop": drop})
    assert ended(result) == ("failed", "broke")
    assert dropped(result) == [2, 2, 2, 2, 1]
    assert result.finished is not None
    assert [failure.message for failure in result.finished.undo_failed] == ["down"]


def test_the_losers_of_a_race_are_undone_and_the_winner_is_not() -> None:
    body = """
out: {by: [x, y], out: {n: int}}
do:
  - id: r
    race:
      x:
        do:
          - {id: a, call: book, with: {n: 1}, undo: {call: drop, with: {ref: =a.ref}}}
          - {id: c, call: ask, with: {n: 10}}
      y:
        do:
          - {id: b, call: book, with: {n: 2}, undo: {call: drop, with: {ref: =b.ref}}}
          - {id: d, call: ask, with: {n: 20}}
return: =r
"""

    def ask(given: Any, _: int) -> Reply:
        return Reply({"n": given["n"]}, takes=9_000 if given["n"] == 10 else 1_000)

    result = run(body, scripts={"ask": ask})
    assert ended(result) == ("completed", {"by": "y", "out": {"n": 20}})
    assert dropped(result) == [1]


def test_a_retried_block_is_undone_and_its_steps_get_new_paths() -> None:
    body = """
out: {n: int}
do:
  - id: t
    do:
      - {id: a, call: book, with: {n: 1}, undo: {call: drop, with: {ref: =a.ref}}}
      - {id: b, call: ask, with: {n: =n}}
    return: =b
    retry: {max: 1}
return: =t
"""
    tries = iter([Failure("agent.unavailable"), {"n": 5}])
    result = run(body, scripts={"ask": lambda *_: next(tries)})
    assert ended(result) == ("completed", {"n": 5})
    assert result.called == ["book", "ask", "drop", "book", "ask"]
    booked = [call.step for call in result.calls if call.agent == "book"]
    assert len(set(booked)) == 2


def test_an_undo_under_way_when_the_block_around_it_fails_is_run_again() -> None:
    body = """
out: int
do:
  - id: p
    par:
      x:
        do:
          - {id: a, call: book, with: {n: 1}, undo: {call: drop, with: {ref: =a.ref}}}
          - {fail: broke, data: {left: 0}}
        catch: [{on: [broke], do: {let: 0}}]
      y: {call: ask, with: {n: 1}}
return: 1
"""
    scripts: dict[str, Callable[[Any, int], Any]] = {
        "ask": lambda *_: Reply(failure=Failure("agent.refused"), takes=1_500),
        "drop": lambda *_: Reply({"done": True}, takes=1_000),
    }
    result = run(body, scripts=scripts)
    assert ended(result) == ("failed", "agent.refused")
    assert dropped(result) == [1, 1]


def test_cancelling_undoes_what_was_completed() -> None:
    body = """
out: {n: int}
do:
  - {id: a, call: book, with: {n: 1}, undo: {call: drop, with: {ref: =a.ref}}}
  - {id: b, call: ask, with: {n: =n}}
return: =b
"""
    scripts: dict[str, Callable[[Any, int], Any]] = {
        "book": lambda *_: {"ref": 1},
        "ask": lambda *_: NEVER,
        "drop": lambda *_: {"done": True},
    }
    result = Simulator(plan_of(HEAD + body), scripts, cancel_at=5_000).run({"n": 1})
    assert ended(result) == ("cancelled", "cancelled")
    assert dropped(result) == [1]


@pytest.mark.parametrize("wait", ["0ms", "10s"])
def test_the_limit_of_a_step_holds_for_all_its_attempts_and_is_no_reason_for_another(wait: str) -> None:
    body = """
out: {n: int}
do:
  - id: a
    call: ask
    with: {n: =n}
    limits: {time: 1s}
    retry: {max: 3, wait: 0ms, on: [limit, agent]}
    catch: [{on: [limit.time], do: {let: {n: -1}}}]
return: =a
""".replace("0ms", wait)
    hanging = run(body, scripts={"ask": lambda *_: NEVER})
    assert ended(hanging) == ("completed", {"n": -1})
    assert (hanging.took, len(hanging.calls)) == (1_000_000, 1)
    late = run(body, scripts={"ask": lambda *_: Reply(failure=Failure("agent.refused"), takes=600_000)})
    assert ended(late) == ("completed", {"n": -1})
    assert (
        len([event for event in late.events if isinstance(event, TimerFired) and event.timer == "limit"]) == 1
    )


def test_a_step_whose_guard_fails_is_never_run_by_a_retry() -> None:
    body = """
types: {N: {n: int}}
out: N?
do:
  - {id: a, if: =10 / n > 3, call: ask, with: {n: =n}, retry: {max: 2, on: [expression, agent]}}
return: =a
"""
    result = run(body, 0)
    assert ended(result) == ("failed", "expression")
    assert result.calls == []


def test_steps_of_every_try_have_paths_of_their_own_also_where_blocks_are_retried_inside_of_blocks() -> None:
    body = """
out: {n: int}
do:
  - id: t
    retry: {max: 1}
    do:
      - id: u
        retry: {max: 1}
        do:
          - {id: a, call: book, with: {n: 1}, undo: {call: drop, with: {ref: =a.ref}}}
          - {id: b, call: ask, with: {n: =n}}
        return: =b
return: =t
"""
    tries = iter([Failure("agent.unavailable")] * 3 + [{"n": 5}])
    result = run(body, scripts={"ask": lambda *_: next(tries)})
    assert ended(result) == ("completed", {"n": 5})
    booked = [call.step for call in result.calls if call.agent == "book"]
    assert booked == [
        "0/do/0/do/0",
        "0/do/0/do/0[0/do/0~2]",
        "0/do/0/do/0[0~2]",
        "0/do/0/do/0[0~2,0/do/0~2]",
    ]


@pytest.mark.parametrize("data", ["{left: =n}", "=x"])
def test_a_handler_finds_the_data_as_its_kind_declares_it(data: str) -> None:
    head = HEAD.replace("broke: {left: int}", "broke: {left: float, why: string?}")
    body = f"""
out: {{half: float, why: string}}
do:
  - {{id: x, let: {{left: =n, more: 1}}}}
  - id: a
    do: [{{fail: broke, data: {data}}}]
    catch: [{{on: [broke], do: {{let: {{half: =error.data.left / 2.0, why: '=error.data.why.orValue("none")'}}}}}}]
return: =a
"""
    result = Simulator(plan_of(head + body), {}).run({"n": 3})
    assert ended(result) == ("completed", {"half": 1.5, "why": "none"})


def test_a_race_that_is_ended_while_its_losers_are_undone_loses_its_winner_as_well() -> None:
    body = """
out: int
do:
  - par:
      x:
        race:
          l: {do: [{id: a, call: book, with: {n: 1}, undo: {call: drop, with: {ref: =a.ref}}}, {sleep: 1h}]}
          w: {do: [{id: b, call: book, with: {n: 2}, undo: {call: drop, with: {ref: =b.ref}}}, {sleep: 3ms}]}
      y: {call: ask, with: {n: 1}}
return: 1
"""
    scripts: dict[str, Callable[[Any, int], Any]] = {
        "ask": lambda *_: Reply(failure=Failure("agent.refused"), takes=5_000),
        "drop": lambda *_: Reply({"done": True}, takes=2_000),
    }
    result = run(body, scripts=scripts)
    assert ended(result) == ("failed", "agent.refused")
    assert sorted(dropped(result)) == [1, 1, 2]


def test_what_a_handler_raises_is_no_reason_for_another_attempt() -> None:
    body = """
out: {n: int}
do:
  - id: a
    call: ask
    with: {n: =n}
    retry: {max: 2, on: [timeout, broke]}
    catch: [{on: [agent], do: {fail: broke, data: {left: 1}}}]
return: =a
"""
    result = run(body, scripts={"ask": lambda *_: Failure("agent.refused")})
    assert ended(result) == ("failed", "broke")
    assert len(result.calls) == 1


def test_a_handler_does_not_catch_what_it_raises_itself() -> None:
    body = """
out: {n: int}
do:
  - id: a
    call: ask
    with: {n: =n}
    catch: [{on: [agent], do: {call: ask, with: {n: 2}}}]
return: =a
"""
    tries = iter([Failure("agent.refused", "first"), Failure("agent.refused", "second")])
    result = run(body, scripts={"ask": lambda *_: next(tries)})
    assert result.finished is not None
    assert result.finished.failure is not None
    assert result.finished.failure.message == "second"
