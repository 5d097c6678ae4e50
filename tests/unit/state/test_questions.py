from __future__ import annotations

from stratarouter_runtime.ids import StepPath
from stratarouter_runtime.state.events import Answered, Asked, Event, TimerFired
from stratarouter_runtime.state.questions import open_questions


def asked(step: str) -> Asked:
    return Asked(StepPath(step), until=10)


def test_what_was_answered_or_not_waited_for_is_open_no_more() -> None:
    facts: list[Event] = [asked("0"), asked("1"), asked("2")]
    facts += [Answered(StepPath("0")), TimerFired(StepPath("2"), "ask")]
    assert open_questions(facts) == [asked("1")]


def test_what_is_asked_again_is_open_again() -> None:
    assert open_questions([asked("0"), Answered(StepPath("0")), asked("0")]) == [asked("0")]
