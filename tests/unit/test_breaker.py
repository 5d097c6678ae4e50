from __future__ import annotations

import pytest

from stratarouter_runtime.breaker import CLOSED, TRANSITIONS, Breaker, Policy, ask, drop, fail, succeed

POLICY = Policy(failures=3, pause=10, longest=40)


def opened(now: int = 0) -> Breaker:
    breaker = CLOSED
    for _ in range(POLICY.failures):
        breaker = fail(breaker, POLICY, now)
    return breaker


def tried(now: int = 10) -> Breaker:
    breaker, through = ask(opened(), now)
    assert through
    return breaker


def test_the_allowed_transitions_are_these() -> None:
    assert {(state, event, to) for state, row in TRANSITIONS.items() for event, to in row.items()} == {
        ("closed", "succeed", "closed"),
        ("closed", "fail", "closed"),
        ("closed", "trip", "open"),
        ("open", "ask", "half-open"),
        ("half-open", "ask", "half-open"),
        ("half-open", "succeed", "closed"),
        ("half-open", "trip", "open"),
        ("half-open", "drop", "open"),
    }


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = fail(fail(CLOSED, POLICY, 0), POLICY, 0)
    assert breaker.state == "closed"
    assert fail(succeed(breaker), POLICY, 0).state == "closed"
    assert fail(breaker, POLICY, 0) == Breaker("open", 3, 10, 10, 1)


@pytest.mark.parametrize(("now", "through"), [(0, False), (9, False), (10, True), (99, True)])
def test_open_it_lets_nothing_through_before_its_pause_is_over(now: int, through: bool) -> None:  # noqa: FBT001 - a row of the table
    assert ask(opened(), now)[1] is through


def test_half_open_one_call_decides() -> None:
    breaker = tried()
    assert ask(breaker, 11)[1] is False
    assert succeed(breaker) == Breaker(opened=1)
    assert fail(breaker, POLICY, 12) == Breaker("open", 4, 20, 32, 2)


def test_the_pause_doubles_up_to_the_longest() -> None:
    breaker, pauses = tried(), []
    for _ in range(4):
        breaker = fail(breaker, POLICY, breaker.until)
        pauses.append(breaker.pause)
        breaker, _ = ask(breaker, breaker.until)
    assert pauses == [20, 40, 40, 40]


def test_a_trial_that_is_given_up_or_lost_makes_room_for_another() -> None:
    assert ask(drop(tried(), 11), 11)[1] is True
    assert ask(tried(), 20)[1] is True


@pytest.mark.parametrize("breaker", [opened(), CLOSED])
def test_what_is_no_news_changes_nothing(breaker: Breaker) -> None:
    assert succeed(breaker) is breaker
    assert drop(breaker, 1) is breaker
    if breaker.state == "open":
        assert fail(breaker, POLICY, 1) is breaker
