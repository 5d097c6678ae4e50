"""Worst cases: what a step, and all below it, can cost at most.

A leaf is one step; sequences and branches add, a `match` takes its dearest arm, `each`
and `loop` multiply by `max`. Retries multiply what is spent, not the steps. Times are
in microseconds along the critical path; None is unbounded. Must never know a flow.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.plan import Bound


class Worst(Struct, frozen=True):
    """The worst case of a step and all below it."""

    steps: int = 0
    attempts: int = 0
    usd: float = 0.0
    tokens: int = 0
    time: int | None = 0

    def bound(self) -> Bound:
        """As a plan carries it: a time of 0 is unbounded, or nothing that waits."""
        return Bound(self.steps, self.attempts, round(self.usd, 9), self.tokens, self.time or 0)


NOTHING = Worst()
INSTANT = Worst(steps=1)
"""A leaf that computes and never waits."""


def called(cost: ir.Cost, time: int | None) -> Worst:
    """One call of an agent."""
    return Worst(1, 1, cost.usd, cost.tokens, time)


def waiting(time: int | None) -> Worst:
    """A leaf that waits for something other than an agent."""
    return Worst(1, 0, 0.0, 0, time)


def sequence(parts: Iterable[Worst]) -> Worst:
    """One after the other."""
    steps = attempts = tokens = 0
    usd = 0.0
    time: int | None = 0
    for part in parts:
        steps += part.steps
        attempts += part.attempts
        usd += part.usd
        tokens += part.tokens
        time = None if time is None or part.time is None else time + part.time
    return Worst(steps, attempts, usd, tokens, time)


def together(parts: Iterable[Worst]) -> Worst:
    """All at once: everything adds, save time, of which the longest counts."""
    every = list(parts)
    total = sequence(every)
    return Worst(total.steps, total.attempts, total.usd, total.tokens, _longest(every))


def dearest(parts: Iterable[Worst]) -> Worst:
    """One of them, whichever: the largest of each measure."""
    every = list(parts)
    return Worst(
        max((part.steps for part in every), default=0),
        max((part.attempts for part in every), default=0),
        max((part.usd for part in every), default=0.0),
        max((part.tokens for part in every), default=0),
        _longest(every),
    )


def repeated(part: Worst, times: int, at_once: int = 1) -> Worst:
    """`times` times, `at_once` of them side by side."""
    rounds = -(-times // max(1, at_once))
    time = None if part.time is None else part.time * rounds
    return Worst(part.steps * times, part.attempts * times, part.usd * times, part.tokens * times, time)


def bounded(part: Worst, time: int | None) -> Worst:
    """Within at most `time` microseconds."""
    if time is None or (part.time is not None and part.time <= time):
        return part
    return Worst(part.steps, part.attempts, part.usd, part.tokens, time)


def retried(part: Worst, retry: ir.Retry | None) -> Worst:
    """With every retry used up and every wait waited; the steps stay the same."""
    if retry is None:
        return part
    times = 1 + retry.max
    time = None if part.time is None else part.time * times + _waits(retry)
    return Worst(part.steps, part.attempts * times, part.usd * times, part.tokens * times, time)


def capped(part: Worst, limits: ir.Limits | None) -> Worst:
    """What can really be spent under these limits."""
    if limits is None:
        return part
    within = bounded(part, limits.time)
    return Worst(
        within.steps if limits.steps is None else min(within.steps, limits.steps),
        within.attempts,
        within.usd if limits.usd is None else min(within.usd, limits.usd),
        within.tokens if limits.tokens is None else min(within.tokens, limits.tokens),
        within.time,
    )


def _longest(parts: list[Worst]) -> int | None:
    longest = 0
    for part in parts:
        if part.time is None:
            return None
        longest = max(longest, part.time)
    return longest


def _waits(retry: ir.Retry) -> int:
    """All waits together; beyond a thousand the sum is as good as unbounded anyway."""
    total, wait = 0.0, float(retry.wait)
    for _ in range(min(retry.max, 1000)):
        total = min(total + wait, 1e18)
        wait = min(wait * retry.factor, 1e18)
    return int(total)
