"""What travels between processes, and what a journal says of it."""

from __future__ import annotations

import pytest

from stratarouter_runtime.errors import InvalidInput, InvalidState, LeaseLost, StoreFull, StrataError
from stratarouter_runtime.ids import StepPath
from stratarouter_runtime.services.letters import (
    Act,
    Answer,
    Cancel,
    Outcome,
    Pause,
    outcome_of,
    read,
    read_outcome,
    recorded,
    write,
)
from stratarouter_runtime.state.events import Answered, CancelRequested, Event


@pytest.mark.parametrize(
    "asked", [Answer("0", {"ok": [1, None, "é"]}, "ann", 7), Cancel("enough", "bob"), Cancel("", ""), Pause()]
)
def test_a_letter_arrives_as_it_was_written(asked: Act) -> None:
    assert read(write(asked)) == asked


@pytest.mark.parametrize(
    "error",
    [
        InvalidState("it has not asked", hint="look"),
        InvalidInput("no bool", pointer="/ok"),
        LeaseLost(),
        StoreFull("no room"),
    ],
)
def test_an_error_comes_back_as_it_was_raised(error: StrataError) -> None:
    with pytest.raises(type(error)) as caught:
        read_outcome(write(outcome_of(error))).give()
    assert (caught.value.message, caught.value.hint) == (error.message, error.hint)
    assert getattr(caught.value, "pointer", "") == getattr(error, "pointer", "")


def test_what_was_done_comes_back_as_nothing() -> None:
    read_outcome(write(Outcome())).give()


ANSWERED = Answered(StepPath("0"), {"ok": True}, "ann")


@pytest.mark.parametrize(
    ("asked", "event", "said"),
    [
        (Answer("0", {"ok": True}, "ann"), ANSWERED, True),
        (Answer("1", {"ok": True}, "ann"), ANSWERED, False),
        (Answer("0", {"ok": True}, "ann", 1), ANSWERED, False),
        (Answer("0", {"ok": False}, "ann"), ANSWERED, False),
        (Answer("0", {"ok": True}, "bob"), ANSWERED, False),
        (Cancel("enough", "ann"), CancelRequested("enough", "ann"), True),
        (Cancel("enough", "ann"), CancelRequested("enough", "bob"), False),
        (Cancel("enough", "ann"), ANSWERED, False),
        (Pause(), ANSWERED, False),
    ],
)
def test_a_journal_says_whether_just_this_was_done(asked: Act, event: Event, said: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert recorded(asked, [event]) is said
