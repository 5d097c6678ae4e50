from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import LOCAL
from stratarouter_runtime.state.commands import CallAgent
from stratarouter_runtime.state.course import Course, Told
from stratarouter_runtime.state.events import Finished, Returned, Started
from stratarouter_runtime.state.replay import replay
from stratarouter_runtime.testing.plans import plan_of

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.plan import Plan

FLOW = """
tcfp: "1.0"
flow: test
agents: {a: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: json}
out: {n: int}
do:
  - {id: x, call: a, with: {n: 1}}
return: =x
"""


def begun(plan: Plan, given: Any = 1) -> tuple[Course, Told]:
    started = Started("exec_test", plan.digest, {"n": given}, "00" * 16, LOCAL)
    return Course.begin(plan, started, 1_000)


def test_what_follows_from_a_fact_is_written_behind_it_and_replays_to_the_same() -> None:
    plan = plan_of(FLOW)
    course, told = begun(plan)
    (call,) = told.commands
    assert isinstance(call, CallAgent)
    assert course.owed.commands() == [call]
    assert course.take(Returned(call.step, call.brief, {"n": 2}), 1_005, told) is None
    assert [type(event) for event in told.events] == [Started, Returned, Finished]
    assert [(record.seq, record.at) for record in told.records] == [(0, 1_000), (1, 1_005), (2, 1_005)]
    assert course.owed.commands() == []
    replayed = replay(plan, told.records)
    assert (replayed.run.finished, replayed.ledger) == (course.run.finished, course.ledger)


def test_time_never_goes_back_in_a_journal() -> None:
    course, told = begun(plan_of(FLOW))
    call = told.commands[0]
    assert isinstance(call, CallAgent)
    course.take(Returned(call.step, call.brief, {"n": 2}), 1, told)
    assert {record.at for record in told.records} == {1_000}
    assert course.run.now == 1_000


def test_a_fact_that_is_not_expected_changes_nothing() -> None:
    course, told = begun(plan_of(FLOW))
    before = course.ledger.seq, course.ledger.link, course.owed.commands(), len(told.records)
    call = told.commands[0]
    assert isinstance(call, CallAgent)
    refused = course.take(Returned(call.step, call.brief, {"n": 2}, attempt=2), 2_000, told)
    assert refused == "x is at attempt 1, not 2"
    assert (course.ledger.seq, course.ledger.link, course.owed.commands(), len(told.records)) == before
    assert course.run.now == 1_000


@pytest.mark.parametrize(
    ("given", "why"),
    [(object(), "does not fit test"), (float("nan"), "must be finite"), ("\ud800", "surrogate")],
)
def test_an_input_that_cannot_be_kept_begins_nothing(given: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        begun(plan_of(FLOW), given)
