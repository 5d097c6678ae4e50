"""Whether a failed attempt is tried again, and when: a function of the failure and the seed.

Must never know: clocks; what an attempt did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stratarouter_runtime.ids import StepPath
    from stratarouter_runtime.tcfp.ir import Retry

PASSING: Final = ("timeout", "agent")
"""The kinds retried where a retry names none: those that may pass by waiting."""

LONGEST: Final = 30 * 86_400_000_000
"""Microseconds: 30 days."""


def catches(kinds: Iterable[str], kind: str) -> bool:
    """Whether a kind is one of `kinds` or lies below one of them: `agent` catches `agent.refused`."""
    return any(kind == caught or kind.startswith(f"{caught}.") for caught in kinds)


def retries(retry: Retry | None, kind: str, attempt: int) -> bool:
    """Whether attempt number `attempt`, having failed with `kind`, is followed by another."""
    return retry is not None and attempt <= retry.max and catches(retry.on or PASSING, kind)


def wait(retry: Retry, seed: str, path: StepPath, attempt: int) -> int:
    """Microseconds between attempt number `attempt` and the next.

    Equal jitter: `w/2 + u * w/2` for `w = wait * factor**(attempt-1)`, where `u` in [0, 1)
    is drawn from the run's seed, the path and the attempt, so that a replay waits as long.
    No factor makes a wait longer than `LONGEST`.
    """
    full = _full(retry, attempt)
    drawn = blake3(f"{seed}\0{path}\0{attempt}".encode()).digest(length=8)
    return int(full / 2 + full / 2 * (int.from_bytes(drawn, "big") / 2**64))


def _full(retry: Retry, attempt: int) -> float:
    longest = max(retry.wait, LONGEST)
    try:
        return min(retry.wait * retry.factor ** (attempt - 1), longest)
    except OverflowError:
        return longest if retry.wait else 0
