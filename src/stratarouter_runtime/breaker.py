"""A circuit breaker as a table: whether something that keeps failing is asked again.

    closed     every call is let through; failures in a row are counted
    open       no call is let through until the pause is over
    half-open  one call is let through, and decides

Each function takes a moment and returns the next state, so whoever holds a breaker holds one
value. Times are microseconds since the epoch. Must never know: what is called, or any clock.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

State: TypeAlias = Literal["closed", "open", "half-open"]
Event: TypeAlias = Literal["succeed", "fail", "trip", "ask", "drop"]

TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    "closed": {"succeed": "closed", "fail": "closed", "trip": "open"},
    "open": {"ask": "half-open"},
    "half-open": {"succeed": "closed", "trip": "open", "ask": "half-open", "drop": "open"},
}
"""From a state, by what happens; what is missing changes nothing: the answer of a call that was let
through before is no news to a breaker that has opened since."""


class Policy(Struct, frozen=True):
    """After `failures` in a row it opens for `pause`, which doubles up to `longest` while it keeps failing."""

    failures: int = 5
    pause: int = 5_000_000
    longest: int = 60_000_000


class Breaker(Struct, frozen=True):
    """One moment of a breaker. Open, it lets nothing through before `until`; half-open, no second call."""

    state: State = "closed"
    failures: int = 0
    pause: int = 0
    until: int = 0
    opened: int = 0
    """How often it has opened."""


CLOSED: Final = Breaker()


def ask(breaker: Breaker, now: int) -> tuple[Breaker, bool]:
    """Whether a call is let through now.

    A call let through to try whether things are well again has as long as the pause was; then
    it is taken for lost, and another one is let through.
    """
    if breaker.state == "closed":
        return breaker, True
    if now < breaker.until:
        return breaker, False
    trying = replace(breaker, state=TRANSITIONS[breaker.state]["ask"], until=now + breaker.pause)
    return trying, True


def succeed(breaker: Breaker) -> Breaker:
    """A call was answered."""
    if "succeed" not in TRANSITIONS[breaker.state] or breaker == CLOSED:
        return breaker
    return Breaker(state=TRANSITIONS[breaker.state]["succeed"], opened=breaker.opened)


def fail(breaker: Breaker, policy: Policy, now: int) -> Breaker:
    """A call failed in a way that says something about whom it was made to."""
    after = TRANSITIONS[breaker.state]
    if breaker.state == "closed" and breaker.failures + 1 < policy.failures:
        return replace(breaker, state=after["fail"], failures=breaker.failures + 1)
    if "trip" not in after:
        return breaker
    pause = min(policy.longest, breaker.pause * 2 or policy.pause)
    return Breaker(after["trip"], breaker.failures + 1, pause, now + pause, breaker.opened + 1)


def drop(breaker: Breaker, now: int) -> Breaker:
    """A call was given up without an answer: where it was the one that decides, another one may."""
    if "drop" not in TRANSITIONS[breaker.state]:
        return breaker
    return replace(breaker, state=TRANSITIONS[breaker.state]["drop"], until=now)
