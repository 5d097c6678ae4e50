"""Going on with another plan, where all that was done so far is the same on both."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.generated import flows
from tests.simulation.test_core import LUCK, scripts

from stratarouter_runtime.errors import InvalidState, JournalMismatch
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.commands import Command
from stratarouter_runtime.state.events import Asked, Event, Migrated, Record
from stratarouter_runtime.state.fork import Change, fork
from stratarouter_runtime.state.migration import migrate
from stratarouter_runtime.state.replay import plans_of, replay
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import START, Simulator

SOURCE = """
tcfp: "1.0"
flow: test
agents: {a: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: int
do:
  - {id: x, call: a, with: {n: =n}}
  - {id: y, call: a, with: {n: =x.n + 10}}
  - {id: z, call: a, with: {n: =y.n + 100}}
return: =z.n
"""
LATER = SOURCE.replace("y.n + 100", "y.n + 500")
ASKING = SOURCE.replace("{id: z, call: a, with: {n: =y.n + 100}}", "{id: z, ask: {n: int}, time: 1h}")


def add(given: Any, _: int) -> Any:
    return {"n": given["n"] + 1}


def begun(plan: Plan, facts: int = 2) -> list[Record]:
    return Simulator(plan, {"a": add}).run({"n": 1}, facts=facts).records


def moved(source: str, target: str, facts: int = 2) -> tuple[Plan, Plan, list[Record]]:
    plan, there = plan_of(source), plan_of(target)
    records = begun(plan, facts)
    return plan, there, [*records, *migrate(there, plan, records, {}, START, "ann").records]


def events(records: list[Record]) -> list[Event]:
    return [decode(record.body) for record in records]


def ended(plan: Plan, there: Plan, records: list[Record]) -> Any:
    """The end on the new plan, and proof that the whole journal is derived again from both."""
    simulator = Simulator(there, {"a": add}, others={plan.digest: plan}, answers={"2": {"n": 7}})
    result = simulator.resume(records)
    assert replay(there, result.records, {plan.digest: plan}).run.finished == result.finished
    assert result.finished is not None
    return result.finished.output


def test_what_is_yet_to_come_is_that_of_the_new_plan() -> None:
    plan, there, records = moved(SOURCE, LATER)
    assert events(records)[-1] == Migrated(there.digest, "ann")
    assert ended(plan, there, records) == 514
    assert plans_of(records) == (plan.digest, there.digest)


def test_what_follows_at_once_from_the_new_plan_is_journaled_behind_it() -> None:
    plan, there, records = moved(SOURCE, ASKING)
    assert [type(event) for event in events(records)[-2:]] == [Migrated, Asked]
    assert ended(plan, there, records) == 7


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("x.n + 10", "x.n + 11", "record 2 is Returned of step '1', but y has another input"),
        (
            "  - {id: x",
            "  - {let: 1}\n  - {id: x",
            "record 1 is Returned of step '0', but step '0' is not waiting",
        ),
        ("in: {n: int}\nout", "in: {n: int, m: int}\nout", "record 0 is Started, but its input does not fit"),
    ],
)
def test_a_plan_on_which_anything_was_different_is_refused(old: str, new: str, why: str) -> None:
    plan, there = plan_of(SOURCE), plan_of(SOURCE.replace(old, new))
    with pytest.raises(InvalidState) as refused:
        migrate(there, plan, begun(plan), {}, START)
    assert why in refused.value.message
    assert there.digest[:12] in refused.value.message


def test_neither_the_same_plan_nor_an_end_can_be_gone_on_with() -> None:
    plan = plan_of(SOURCE)
    with pytest.raises(InvalidState, match="runs this plan already"):
        migrate(plan, plan, begun(plan), {}, START)
    with pytest.raises(InvalidState, match="has finished"):
        migrate(plan_of(LATER), plan, begun(plan, 3), {}, START)


def test_an_execution_can_move_again_and_back() -> None:
    first, second, records = moved(SOURCE, ASKING)
    third = plan_of(LATER)
    # A question was asked on the second plan, which neither of the others asks.
    with pytest.raises(InvalidState, match="Asked"):
        migrate(third, second, records, {first.digest: first}, START)
    plan, there, records = moved(SOURCE, LATER)
    again = [*records, *migrate(plan, there, records, {plan.digest: plan}, START).records]
    simulator = Simulator(plan, {"a": add}, others={there.digest: there})
    result = simulator.resume(again)
    assert result.finished is not None
    assert result.finished.output == 114


def test_a_replay_needs_every_plan_that_the_journal_names() -> None:
    plan, there, records = moved(SOURCE, LATER)
    with pytest.raises(JournalMismatch, match="record 0 is Started"):
        replay(there, records)
    with pytest.raises(JournalMismatch, match=r"record 3 is Migrated.*is not at hand"):
        replay(plan, records)


def test_a_fork_of_one_that_has_moved_runs_the_plan_it_has_moved_to() -> None:
    _, there, records = moved(SOURCE, LATER)
    forked = fork(there, records, "exec_2", START, Change())
    assert plans_of(forked.first.records) == (there.digest,)
    assert [*replay(there, forked.first.records).owed] == forked.first.commands


def kind_and_step(command: Command) -> tuple[str, str]:
    return type(command).__name__, getattr(command, "step", "")


@given(flows(), LUCK, st.integers(0, 20))
def test_a_plan_that_means_more_at_its_end_can_always_be_gone_on_with(
    source: str, luck: list[tuple[str, int]], facts: int
) -> None:
    plan = plan_of(source)
    there = plan_of(source.replace('"flow"', '"about": "another", "flow"'))
    records = Simulator(plan, scripts(luck), scores=lambda *_: (0.3, 0.6)).run({"n": 1}, facts=facts).records
    if replay(plan, records).run.finished is None and there.digest != plan.digest:
        gone = [*records, *migrate(there, plan, records, {}, START).records]
        before, after = replay(plan, records), replay(there, gone, {plan.digest: plan})
        assert list(map(kind_and_step, after.owed)) == list(map(kind_and_step, before.owed))
