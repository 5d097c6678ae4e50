"""A call with side effects that was under way when its process ended, under each policy."""

from __future__ import annotations

from typing import Any

import pytest

from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.commands import AwaitAnswer, CallAgent, Command
from stratarouter_runtime.state.decide import accept, decide, unexpected
from stratarouter_runtime.state.difference import difference
from stratarouter_runtime.state.events import (
    Answered,
    Asked,
    CancelRequested,
    Dispatched,
    Event,
    Failed,
    Failure,
    Interrupted,
    Returned,
    TimerFired,
    Usage,
)
from stratarouter_runtime.state.fork import Change, fork
from stratarouter_runtime.state.interruption import answer_of, in_doubt
from stratarouter_runtime.state.redaction import Redaction
from stratarouter_runtime.state.replay import Replayed, replay
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.tcfp.values import Misfit
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import NEVER, START, Simulated, Simulator

SOURCE = """
tcfp: "1.0"
flow: test
agents:
  a: {in: {n: int}, out: {n: int}, effect: pure, about: adds}
  b: {in: {n: int, who: string @pii}, out: {n: int, who: string @pii}, accepts: [pii], about: sends,
      cost: {usd: 0.4, tokens: 10}POLICY}
in: {n: int, who: string @pii}
out: int
do:
  - {id: x, call: a, with: {n: =n}}
  - {id: y, CALL: b, with: {n: =x.n, who: =who}MORE}
return: =y.n
"""
MAIL = "anna@example.com"
SENT = {"happened": True, "output": {"n": 7, "who": MAIL}}
NOT_SENT = {"happened": False, "output": None}


def flow(policy: str = "", more: str = "") -> Plan:
    written = f", on_crash: {policy}" if policy else ""
    return plan_of(SOURCE.replace("POLICY", written).replace("MORE", more).replace("CALL", "call"))


def add(given: Any, _: int) -> Any:
    return {**given, "n": given["n"] + 1}


def crashed(plan: Plan) -> list[Any]:
    """The journal of a process that ended while `b` was at work."""
    before = Simulator(plan, {"a": add, "b": lambda *_: NEVER}).run({"n": 1, "who": MAIL}, facts=1)
    assert isinstance(before.events[-1], Dispatched)
    return before.records


def go_on(plan: Plan, verdict: Any = None) -> Simulated:
    verdicts = {} if verdict is None else {"1": verdict}
    return Simulator(plan, {"a": add, "b": add}, verdicts=verdicts).resume(crashed(plan))


def in_question(plan: Plan) -> tuple[Replayed, list[Command]]:
    """A run that has just been told of the interruption, and what it wants."""
    replayed = replay(plan, crashed(plan))
    assert accept(replayed.run, Interrupted(replayed.owed[0].step), START) is None  # type: ignore[union-attr]  # calls and timers have one
    return replayed, decide(replayed.run)


def kinds(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


def test_fail_fails_the_step_and_counts_its_cost_as_spent() -> None:
    result = go_on(flow("fail"))
    assert result.finished is not None
    assert result.finished.failure is not None
    assert result.finished.failure.kind == "agent.unavailable"
    assert "whether it took effect is not known" in result.finished.failure.message
    assert result.finished.usage == Usage(0.4, 10)
    assert result.calls == []


def test_fail_can_be_caught_like_any_failure() -> None:
    plan = flow("fail", ", catch: [{on: [agent], do: {let: {n: 0, who: nobody}}}]")
    result = go_on(plan)
    assert result.finished is not None
    assert result.finished.output == 0


def test_retry_makes_the_call_again_as_the_same_attempt_and_reserves_its_cost_anew() -> None:
    plan = flow("retry")
    result = go_on(plan)
    assert result.finished is not None
    assert result.finished.output == 3
    assert [(call.agent, call.attempt) for call in result.calls] == [("b", 1)]
    assert kinds(result.events)[2:5] == [Dispatched, Interrupted, Dispatched]
    assert result.finished.usage == Usage(0.4, 10)
    assert replay(plan, result.records).run.finished == result.finished


def test_retry_is_refused_where_the_budget_has_no_room_for_it() -> None:
    result = go_on(flow("retry", ", limits: {usd: 0.7}"))
    assert result.finished is not None
    assert result.finished.failure is not None
    assert result.finished.failure.kind == "limit.usd"
    assert result.calls == []


@pytest.mark.parametrize("policy", ["", "ask"])
def test_ask_is_the_default_and_succeeds_with_what_a_person_says(policy: str) -> None:
    plan = flow(policy)
    result = go_on(plan, SENT)
    assert result.finished is not None
    assert result.finished.output == 7
    assert result.calls == []
    asked = result.events[4]
    assert asked == Asked(
        "1",  # type: ignore[arg-type]  # a path
        0,
        "{happened: bool, output: {n: int, who: string @pii}?}",
        show={"n": 2, "who": MAIL},
        interrupted="b",
    )
    assert replay(plan, result.records).owed == ()


def test_a_call_that_did_not_happen_is_made_again() -> None:
    result = go_on(flow(), NOT_SENT)
    assert result.finished is not None
    assert result.finished.output == 3
    assert kinds(result.events)[2:7] == [Dispatched, Interrupted, Asked, Answered, Dispatched]


def test_a_route_succeeds_with_who_was_chosen() -> None:
    source = SOURCE.replace("CALL: b", "route: which, among: [b], rules: [{when: true, pick: b}]")
    source = source.replace("=y.n", "=y.out.n").replace("POLICY", "").replace("MORE", "")
    result = go_on(plan_of(source), SENT)
    assert result.finished is not None
    assert result.finished.output == 7


def test_a_person_is_waited_for_and_the_time_of_the_attempt_does_not_run() -> None:
    replayed, commands = in_question(flow(more=", time: 5s"))
    run = replayed.run
    assert any(isinstance(command, AwaitAnswer) for command in commands)
    assert run.waiting
    assert run.asking == {"1"}
    assert unexpected(run, TimerFired(run.live["1"].path, "attempt")) == "y has no attempt timer running"  # type: ignore[index]
    assert accept(run, Answered(run.live["1"].path, NOT_SENT), START + 60_000_000) is None  # type: ignore[index]
    (timer, _, call) = decide(run)
    assert timer.at == START + 65_000_000  # type: ignore[union-attr]
    assert isinstance(call, CallAgent)
    assert call.deadline == START + 65_000_000
    assert not run.waiting


def test_the_limits_of_time_around_the_step_go_on() -> None:
    replayed, _ = in_question(flow(more=", limits: {time: 30s}"))
    run = replayed.run
    frame = run.live["1"]  # type: ignore[index]
    assert unexpected(run, TimerFired(frame.path, "limit")) is None
    assert accept(run, TimerFired(frame.path, "limit"), START + 30_000_000) is None
    decide(run)
    assert run.finished is not None
    assert run.finished.status == "timed_out"
    assert run.asking == set()


def test_the_question_ends_with_the_nearest_limit_of_time() -> None:
    plan = flow(more=", limits: {time: 30s}")
    asked = next(event for event in go_on(plan, SENT).events if isinstance(event, Asked))
    assert asked.until == START + 1_000 + 30_000_000


def test_cancelling_ends_it_while_a_person_is_asked() -> None:
    replayed, _ = in_question(flow())
    assert accept(replayed.run, CancelRequested("enough"), START) is None
    decide(replayed.run)
    assert replayed.run.finished is not None
    assert replayed.run.finished.status == "cancelled"
    assert not replayed.run.live


def test_another_crash_meets_the_same_question() -> None:
    plan = flow()
    simulator = Simulator(plan, {"a": add, "b": add})
    records = simulator.resume(crashed(plan)).records[:5]
    again = replay(plan, records)
    assert in_doubt(again.run.live["1"])  # type: ignore[index]
    assert [type(command) for command in again.owed] == [AwaitAnswer]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"happened": True}, "/output"),
        ({"happened": True, "output": {"n": 1}}, "/output"),
        ({"happened": True, "output": {"n": "1", "who": MAIL}}, "/output/n"),
        ({"happened": False, "output": {"n": 1, "who": MAIL}}, "/output"),
        ({"happened": "yes"}, "/happened"),
        ({"output": {"n": 1, "who": MAIL}}, "/happened"),
        (True, ""),
    ],
)
def test_an_answer_of_another_type_is_refused(said: Any, why: str) -> None:
    replayed, _ = in_question(flow())
    with pytest.raises(Misfit) as refused:
        answer_of(replayed.run.live["1"], said)  # type: ignore[index]
    assert refused.value.pointer.startswith(why)


def test_an_answer_is_brought_to_the_type_asked_for() -> None:
    replayed, _ = in_question(flow())
    frame = replayed.run.live["1"]  # type: ignore[index]
    assert answer_of(frame, {"happened": False}) == NOT_SENT
    assert answer_of(frame, {"happened": True, "output": {"n": 7, "who": MAIL, "more": 1}}) == SENT


def test_only_a_call_with_side_effects_that_is_under_way_can_be_interrupted() -> None:
    plan = flow()
    run = replay(plan, crashed(plan)[:1]).run
    assert unexpected(run, Interrupted(run.live["0"].path)) == (  # type: ignore[index]
        "a has no side effects: after a crash it is simply called again"
    )
    replayed, _ = in_question(plan)
    again = Interrupted(replayed.run.live["1"].path)  # type: ignore[index]
    assert unexpected(replayed.run, again) == "y is not waiting for an agent"
    assert unexpected(replayed.run, Interrupted(again.step, 2)) == "y is at attempt 1, not 2"


def test_a_journal_of_an_earlier_version_replays() -> None:
    """There the call that was interrupted had failed at once."""
    plan = flow()
    replayed = replay(plan, crashed(plan))
    (call,) = replayed.owed
    assert isinstance(call, CallAgent)
    old = Failed(call.step, call.input_digest, Failure("agent.unavailable", "unknown"), 1, Usage(0.4, 10))
    record = replayed.ledger.write(old, START)
    assert accept(replayed.run, old, START) is None
    (written,) = [command.event for command in decide(replayed.run) if hasattr(command, "event")]
    records = [*crashed(plan), record, replayed.ledger.write(written, START)]
    assert replay(plan, records).run.finished == written


def test_what_is_labelled_is_shown_to_nobody() -> None:
    plan = flow()
    redaction = Redaction(plan)
    shown = [redaction.show(event) for event in go_on(plan, SENT).events]
    assert MAIL not in str(shown)
    assert shown[4].show == {"n": 2, "who": "[redacted: pii]"}  # type: ignore[union-attr]
    assert shown[5].value["output"] == {"n": 7, "who": "[redacted: pii]"}  # type: ignore[union-attr]


def test_a_fork_takes_over_what_a_person_said_it_came_to() -> None:
    plan = flow()
    forked = fork(plan, go_on(plan, SENT).records, "exec_2", START, Change())
    assert forked.course.run.finished is not None
    assert forked.course.run.finished.output == 7
    assert Returned in [type(decode(record.body)) for record in forked.first.records]
    assert replay(plan, forked.first.records).owed == ()


def test_a_fork_makes_a_call_that_did_not_happen_or_whose_question_is_open() -> None:
    plan = flow()
    for records in (go_on(plan, NOT_SENT).records[:7], go_on(plan, SENT).records[:5]):
        forked = fork(plan, records, "exec_2", START, Change())
        assert [type(command) for command in forked.first.commands] == [CallAgent]


def test_a_fork_can_give_the_step_another_output() -> None:
    plan = flow()
    for verdict in (SENT, NOT_SENT):
        change = Change(step="1", output={"n": 50, "who": MAIL})
        forked = fork(plan, go_on(plan, verdict).records, "exec_2", START, change)
        assert forked.course.run.finished is not None
        assert forked.course.run.finished.output == 50


def test_the_difference_is_what_the_call_came_to() -> None:
    plan = flow()
    left, right = go_on(plan, SENT).events, go_on(plan, NOT_SENT).events
    (step, *_) = difference(left, right)
    assert (step.step, step.left, step.right) == ("1", SENT["output"], {"n": 3, "who": MAIL})
