"""A journal back into a run: the same, or refused with a message that teaches."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stratarouter_runtime.errors import JournalMismatch
from stratarouter_runtime.ids import StepPath
from stratarouter_runtime.state.codec import decode, encode
from stratarouter_runtime.state.commands import CallAgent, SetTimer
from stratarouter_runtime.state.decide import accept, decide, unexpected
from stratarouter_runtime.state.events import (
    Answered,
    CancelRequested,
    Event,
    Failed,
    Failure,
    Finished,
    Record,
    Returned,
    TimerFired,
)
from stratarouter_runtime.state.ledger import Ledger
from stratarouter_runtime.state.replay import replay
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulator import Simulator

SOURCE = """
tcfp: "1.0"
flow: test
agents:
  a: {in: {n: int}, out: {n: int}, effect: pure}
  b: {in: {n: int}, out: {n: int}, effect: effect}
in: {n: int}
out: {n: int}
do:
  - {id: x, call: a, with: {n: =n}, time: 5s, retry: {max: 1, wait: 1s}}
  - {id: q, ask: int, time: 1h, else: 3}
  - id: p
    par:
      l: {call: a, with: {n: =x.n}}
      r: {call: b, with: {n: =q}}
return: {n: =p.l.n + p.r.n}
"""


def journal(source: str = SOURCE) -> tuple[Plan, list[Record]]:
    plan = plan_of(source)

    def a(given: Any, attempt: int) -> Any:
        return (
            Failure("agent.unavailable", "down")
            if given["n"] == 1 and attempt == 1
            else {"n": given["n"] * 10}
        )

    result = Simulator(plan, {"a": a, "b": lambda given, _: given}).run({"n": 1})
    assert result.finished == Finished("completed", {"n": 103}, usage=result.finished.usage)  # type: ignore[union-attr]
    return plan, result.records


def relinked(events: list[Event]) -> list[Record]:
    """The journal of these facts, with a chain that holds."""
    ledger = Ledger()
    return [ledger.write(event, 1_700_000_000_000_000) for event in events]


def test_a_whole_journal_replays_to_its_end() -> None:
    plan, records = journal()
    replayed = replay(plan, records)
    assert replayed.run.finished == decode(records[-1].body)
    assert replayed.owed == ()
    assert replayed.ledger.link == records[-1].link


def test_every_beginning_of_a_journal_replays_or_is_cut_inside_what_is_written_at_once() -> None:
    plan, records = journal()
    derived = {"Dispatched", "Chosen", "Asked", "Finished"}
    for length in range(1, len(records)):
        if type(decode(records[length].body)).__name__ in derived:
            with pytest.raises(JournalMismatch, match="ends before"):
                replay(plan, records[:length])
            continue
        replayed = replay(plan, records[:length])
        assert replayed.run.finished is None
        assert replayed.owed, f"nothing is owed after record {length - 1}"


def test_what_is_owed_after_the_first_record_is_the_first_call_and_its_timer() -> None:
    plan, records = journal()
    owed = replay(plan, records[:1]).owed
    assert [type(command) for command in owed] == [SetTimer, CallAgent]


@pytest.mark.parametrize("at", range(1, 9))
def test_a_record_that_was_changed_breaks_the_chain_there(at: int) -> None:
    plan, records = journal()
    body = records[at].body.replace(b'"t":', b'"t" :')
    records[at] = replace(records[at], body=body)
    with pytest.raises(JournalMismatch, match=f"record {at} is not what was written"):
        replay(plan, records)


def test_a_record_that_was_dropped_is_missed() -> None:
    plan, records = journal()
    with pytest.raises(JournalMismatch, match="record 3 is missing"):
        replay(plan, records[:3] + records[4:])


def test_another_plan_is_refused_by_its_digest() -> None:
    _, records = journal()
    other = plan_of(SOURCE.replace("time: 5s", "time: 6s"))
    with pytest.raises(JournalMismatch, match=r"runs plan .* this is plan") as caught:
        replay(other, records)
    assert "the flow" in (caught.value.hint or "")


def events_of(records: list[Record]) -> list[Event]:
    return [decode(record.body) for record in records]


def test_an_answer_with_another_input_is_refused() -> None:
    plan, records = journal()
    events = events_of(records)
    at = next(i for i, event in enumerate(events) if isinstance(event, Returned))
    event = events[at]
    assert isinstance(event, Returned)
    events[at] = replace(event, input="0" * 64)
    with pytest.raises(
        JournalMismatch, match=rf"record {at} is Returned of step '0', but x has another input"
    ):
        replay(plan, relinked(events))


def test_another_output_at_the_end_is_named() -> None:
    plan, records = journal()
    events = events_of(records)
    end = events[-1]
    assert isinstance(end, Finished)
    forged = Ledger(records[-1].seq, records[-2].at, records[-2].link)
    records[-1] = forged.write(replace(end, output={"n": 104}), records[-1].at)
    with pytest.raises(JournalMismatch, match=r"here follows Finished: .*103"):
        replay(plan, records)


def test_a_step_that_the_plan_does_not_have_is_refused() -> None:
    plan, records = journal()
    events = [*events_of(records)[:1], Returned("7", "0" * 64)]  # type: ignore[arg-type]  # ids are text
    with pytest.raises(JournalMismatch, match="step '7' is not waiting for anything"):
        replay(plan, relinked(events))


def test_a_journal_that_does_not_begin_with_its_start_is_refused() -> None:
    plan, records = journal()
    with pytest.raises(JournalMismatch, match="a journal begins with"):
        replay(plan, relinked(events_of(records)[1:]))
    with pytest.raises(JournalMismatch, match="empty"):
        replay(plan, [])


def test_a_fact_that_follows_from_the_plan_cannot_come_from_outside() -> None:
    plan, records = journal()
    events = [*events_of(records)[:1], Finished("completed", {"n": 1})]
    with pytest.raises(JournalMismatch, match="follows from the plan"):
        replay(plan, relinked(events))


def test_time_that_goes_back_is_refused() -> None:
    plan, records = journal()
    ledger = Ledger()
    ledger.check(records[0])
    ledger.at = records[0].at - 10
    ledger.seq = 1
    early = Ledger(1, 0, records[0].link).write(decode(records[1].body), records[0].at - 5)
    with pytest.raises(JournalMismatch, match="record 1 is not what was written"):
        replay(plan, [records[0], early])


def test_encoding_an_event_again_gives_the_same_bytes() -> None:
    for record in journal()[1]:
        assert encode(decode(record.body)) == record.body


RETRIED_ASK = """
tcfp: "1.0"
flow: test
in: {n: int}
out: bool
do:
  - {id: q, ask: bool, time: 1s, retry: {max: 1, wait: 10s}}
return: =q
"""


def test_an_answer_that_comes_in_the_wait_for_another_attempt_is_too_late() -> None:
    plan = plan_of(RETRIED_ASK)
    run = Simulator(plan, {}).run({"n": 1}, facts=1).run
    assert unexpected(run, Answered(StepPath("0"), value=True)) == "q has not asked for anything"
    assert accept(run, Answered(StepPath("0"), value=True), 0) == "q has not asked for anything"
    assert accept(run, TimerFired(StepPath("0"), "retry"), 0) is None
    decide(run)
    assert unexpected(run, Answered(StepPath("0"), value=True)) is None


def test_an_answer_to_an_attempt_that_has_failed_already_is_too_late() -> None:
    plan = plan_of(RETRIED_CALL)
    failing = Simulator(plan, {"a": lambda *_: Failure("agent.unavailable")}).run({"n": 1}, facts=2)
    call = failing.calls[-1]
    assert call.attempt == 2
    digest = next(event.input for event in failing.events if isinstance(event, Failed))
    late, due = (Returned(StepPath("0"), digest, {"n": 1}, attempt) for attempt in (1, 2))
    assert unexpected(failing.run, late) == "x is at attempt 2, not 1"
    assert unexpected(failing.run, due) is None
    assert [type(command) for command in replay(plan, failing.records).owed] == [CallAgent]


RETRIED_CALL = """
tcfp: "1.0"
flow: test
agents: {a: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: {n: int}
do:
  - {id: x, call: a, with: {n: =n}, retry: {max: 5, wait: 1s}}
return: =x
"""


def test_nothing_is_expected_once_it_has_finished() -> None:
    plan, records = journal()
    ended = replay(plan, records).run
    assert unexpected(ended, CancelRequested()) == "the execution has finished"
    assert accept(ended, CancelRequested(), 0) == "the execution has finished"
