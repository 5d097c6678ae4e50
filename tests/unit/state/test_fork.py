"""Forks: the same facts up to a point, and from there another way."""

from __future__ import annotations

from typing import Any

import pytest

from stratarouter_runtime.errors import InvalidInput, InvalidState
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.commands import CallAgent
from stratarouter_runtime.state.difference import Difference, difference
from stratarouter_runtime.state.events import Event, Failure, Record, Returned, Started
from stratarouter_runtime.state.fork import Change, Forked, fork
from stratarouter_runtime.state.replay import replay
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import Simulator

CHAIN = """
tcfp: "1.0"
flow: chain
agents: {add: {in: {n: int, by: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: {n: int}
do:
  - {id: a, call: add, with: {n: =n, by: 1}}
  - {id: b, call: add, with: {n: 100, by: 2}}
  - {id: c, call: add, with: {n: =a.n + b.n, by: 3}}
return: =c
"""

EACH = """
tcfp: "1.0"
flow: each
agents: {add: {in: {n: int, by: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: list<int>
do:
  - {id: e, each: '=[1, 2, 3, 4]', as: x, max: 4, parallel: 1, do: {call: add, with: {n: =x, by: =n}}}
return: =e.map(r, r.n)
"""

LATER = 1_800_000_000_000_000


def add(given: Any, _: int) -> Any:
    return {"n": given["n"] + given["by"]}


def ran(source: str, script: Any = add) -> tuple[Plan, list[Record]]:
    plan = plan_of(source)
    return plan, Simulator(plan, {"add": script}).run({"n": 10}).records


def owed(forked: Forked) -> list[Any]:
    return [command.input for command in forked.first.commands if isinstance(command, CallAgent)]


def events(records: list[Record]) -> list[Event]:
    return [decode(record.body) for record in records]


def ended(plan: Plan, forked: Forked) -> list[Event]:
    """The facts of the fork, driven to its end."""
    return Simulator(plan, {"add": add}).resume(forked.first.records).events


def test_another_input_keeps_what_does_not_depend_on_it() -> None:
    plan, records = ran(CHAIN)
    forked = fork(plan, records, "exec_2", LATER, Change(input={"n": 20}))
    assert forked.kept == 0
    assert owed(forked) == [{"n": 20, "by": 1}]
    assert ended(plan, forked)[-1].output == {"n": 126}  # type: ignore[union-attr]


def test_another_output_of_a_step_is_taken_and_what_comes_after_is_run() -> None:
    plan, records = ran(CHAIN)
    forked = fork(plan, records, "exec_2", LATER, Change(step="1", output={"n": 500}))
    assert (forked.kept, owed(forked)) == (2, [{"n": 511, "by": 3}])
    assert ended(plan, forked)[-1].output == {"n": 514}  # type: ignore[union-attr]


def test_a_step_without_another_output_is_run_again() -> None:
    plan, records = ran(CHAIN)
    forked = fork(plan, records, "exec_2", LATER, Change(step="1"))
    assert (forked.kept, owed(forked)) == (1, [{"n": 100, "by": 2}])


def test_a_step_is_named_by_its_path_or_its_name() -> None:
    plan, records = ran(CHAIN)
    by_path = fork(plan, records, "exec_2", LATER, Change(step="1", output={"n": 500}))
    by_name = fork(plan, records, "exec_2", LATER, Change(step="b", output={"n": 500}))
    assert by_name.first.records == by_path.first.records


def test_a_step_in_a_round_is_named_with_it() -> None:
    plan, records = ran(EACH)
    forked = fork(plan, records, "exec_2", LATER, Change(step="call add[2]", output={"n": 0}))
    assert ended(plan, forked)[-1].output == [11, 12, 0, 14]  # type: ignore[union-attr]
    with pytest.raises(InvalidState, match=r"no result of step 'call add'") as caught:
        fork(plan, records, "exec_2", LATER, Change(step="call add"))
    assert "call add[2] (0/each[2])" in str(caught.value.hint)


def test_a_failed_each_goes_on_with_the_items_it_lacks() -> None:
    def fails_at_three(given: Any, attempt: int) -> Any:
        return Failure("agent.unavailable", "down") if given["n"] == 3 else add(given, attempt)

    plan, records = ran(EACH, fails_at_three)
    forked = fork(plan, records, "exec_2", LATER, Change())
    assert (forked.kept, owed(forked)) == (2, [{"n": 3, "by": 10}])
    assert ended(plan, forked)[-1].output == [11, 12, 13, 14]  # type: ignore[union-attr]


def test_a_result_that_took_several_attempts_is_kept_as_the_first() -> None:
    def second(given: Any, attempt: int) -> Any:
        return Failure("agent.unavailable") if attempt == 1 else add(given, attempt)

    source = CHAIN.replace("{n: =n, by: 1}", "{n: =n, by: 1}, retry: {max: 1}")
    plan, records = ran(
        source.replace("by: 3}", "by: 3}, retry: {max: 1}").replace("by: 2}", "by: 2}, retry: {max: 1}"),
        second,
    )
    forked = fork(plan, records, "exec_2", LATER, Change())
    assert forked.course.run.finished is not None
    assert [event.attempt for event in events(list(forked.first.records)) if isinstance(event, Returned)] == [
        1,
        1,
        1,
    ]


def test_a_fork_has_a_journal_of_its_own_that_replays() -> None:
    plan, records = ran(CHAIN)
    forked = fork(plan, records, "exec_2", LATER, Change(step="2"))
    replayed = replay(plan, forked.first.records)
    assert [*replayed.owed] == forked.first.commands
    started = decode(forked.first.records[0].body)
    assert isinstance(started, Started)
    assert (started.id, started.forked) == ("exec_2", "exec_test")
    assert {record.at for record in forked.first.records} == {LATER}


def test_what_cannot_be_forked_is_refused() -> None:
    plan, records = ran(CHAIN)
    with pytest.raises(InvalidInput, match="the input does not fit chain"):
        fork(plan, records, "exec_2", LATER, Change(input={"n": "x"}))
    with pytest.raises(InvalidState, match="no result of step '9'") as caught:
        fork(plan, records, "exec_2", LATER, Change(step="9"))
    assert caught.value.hint == "steps that reach outside have one; here: a (0), b (1), c (2)"


def test_the_difference_names_the_steps_that_came_to_something_else() -> None:
    plan, records = ran(CHAIN)
    forked = fork(plan, records, "exec_2", LATER, Change(step="1", output={"n": 500}))
    assert difference(events(records), ended(plan, forked)) == [
        Difference("1", {"n": 102}, {"n": 500}),
        Difference("2", {"n": 116}, {"n": 514}),
        Difference(
            "",
            {"status": "completed", "result": {"n": 116}},
            {"status": "completed", "result": {"n": 514}},
        ),
    ]
    assert difference(events(records), events(records)) == []


BOOKED = """
tcfp: "1.0"
flow: booked
agents:
  add: {in: {n: int}, out: {n: int}, effect: pure}
  book: {in: {n: int}, out: {ref: int}, effect: idempotent}
  drop: {in: {ref: int}, out: {done: bool}, effect: idempotent}
in: {n: int}
out: list<int>
do:
  - {id: a, call: add, with: {n: =n}}
  - id: e
    each: '=[1, 2, 3, 4]'
    as: x
    max: 4
    parallel: 2
    do:
      do:
        - {id: b, call: book, with: {n: =x}, undo: UNDO}
        - {id: c, call: add, with: {n: =b.ref}}
      return: =c.n
return: =e
"""


@pytest.mark.parametrize(
    "undo", ["{call: drop, with: {ref: =b.ref}}", "{do: [{call: drop, with: {ref: =b.ref}}, {let: 1}]}"]
)
def test_what_was_undone_is_done_again(undo: str) -> None:
    def agents(broken: int | None) -> dict[str, Any]:
        def add_one(given: Any, _: int) -> Any:
            return Failure("agent.unavailable") if given["n"] == broken else {"n": given["n"] + 1}

        book = lambda given, _: {"ref": given["n"] * 10}  # noqa: E731 - a script
        return {"add": add_one, "book": book, "drop": lambda *_: {"done": True}}

    plan = plan_of(BOOKED.replace("UNDO", undo))
    failed = Simulator(plan, agents(30)).run({"n": 1})
    assert failed.called.count("drop") >= 2
    forked = fork(plan, failed.records, "exec_2", LATER, Change())
    again = Simulator(plan, agents(None)).resume(forked.first.records)
    assert again.called.count("book") == 4  # none of the bookings that were dropped is taken for one
    assert again.called.count("add") <= 4  # the step before is kept
    assert again.finished is not None
    assert again.finished.output == [11, 21, 31, 41]


def test_a_parallel_each_goes_on_with_the_items_it_lacks() -> None:
    def fails(given: Any, attempt: int) -> Any:
        return Failure("agent.unavailable", "down") if given["n"] == 2 else add(given, attempt)

    plan, records = ran(EACH.replace("parallel: 1", "parallel: 3"), fails)
    forked = fork(plan, records, "exec_2", LATER, Change())
    assert 1 <= forked.kept < 4
    assert {"n": 2, "by": 10} in owed(forked)
    assert ended(plan, forked)[-1].output == [11, 12, 13, 14]  # type: ignore[union-attr]
