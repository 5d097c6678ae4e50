"""What limits say about a flow before it runs: needs, and worst cases over budget.

Must never know how worst cases are computed, or how limits are enforced in a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.validation.bounds import Worst
from stratarouter_runtime.tcfp.validation.context import Checking, Place
from stratarouter_runtime.tcfp.validation.kinds import Kinds

MAX_STEPS: Final = 1000
"""What a host runs of one flow at most; limits may only lower it."""

HOUR: Final = 3_600_000_000
"""In microseconds; longer flows need the permission of the host."""


def raised_by_limits(limits: ir.Limits | None) -> Kinds:
    """The kinds that running into these limits raises; a step may catch those of its own limits."""
    if limits is None:
        return frozenset()
    written = {"usd": limits.usd, "tokens": limits.tokens, "time": limits.time, "steps": limits.steps}
    return frozenset(f"limit.{name}" for name, value in written.items() if value is not None)


def check_limits(check: Checking, limits: ir.Limits | None, worst: Worst) -> None:
    """Hold a worst case against the limits of its own scope: E350, W351."""
    if limits is None:
        return
    check_steps(check, limits.at, limits.steps, worst)
    if limits.usd is not None and worst.usd > limits.usd * (1 + 1e-9):
        _over(check, check.at(limits.at, "usd"), f"{worst.usd:.6g} USD", f"{limits.usd:.6g} USD")
    if limits.tokens is not None and worst.tokens > limits.tokens:
        _over(check, check.at(limits.at, "tokens"), f"{worst.tokens} tokens", f"{limits.tokens} tokens")
    if limits.time is not None:
        note_time(check, check.at(limits.at, "time"), limits.time)


def check_steps(check: Checking, at: Where, limit: int | None, worst: Worst) -> None:
    """E350 where more steps may run than the limit, or the host, allows."""
    most = MAX_STEPS if limit is None else min(limit, MAX_STEPS)
    if worst.steps > most:
        check.add(
            "E350",
            at,
            f"worst case is {worst.steps} steps, limit {most}",
            f"lower max: or raise limits.steps (host cap {MAX_STEPS})",
        )


def note_time(check: Checking, at: Where, time: int) -> None:
    """Remember a written time of more than an hour: `check_time` may need to point at it."""
    if time > HOUR:
        check.long.append((at, time))


def check_time(check: Checking, limits: ir.Limits | None, at: Where, worst: int | None) -> None:
    """W352 where the whole flow may take more than an hour; told at what makes it so long."""
    if limits is not None and limits.time is not None:
        found = [(check.at(limits.at, "time"), limits.time)]
    else:
        found = check.long or ([] if worst is None else [(at, worst)])
    for place, time in found:
        if time > HOUR:
            check.add(
                "W352",
                place,
                f"may take {time / HOUR:.3g} hours; above 1 hour the host has to permit it",
                "lower the time, or ask the operator",
            )


def check_needs(check: Checking, name: str, signature: ir.Signature, place: Place, at: Where) -> None:
    """E341 where an agent needs hosts or tools that limits around this place do not allow."""
    _needs(check, name, "host", signature.needs.hosts, place.policy.hosts, at)
    _needs(check, name, "tool", signature.needs.tools, place.policy.tools, at)


def _needs(
    check: Checking, name: str, what: str, needed: Iterable[str], allowed: frozenset[str] | None, at: Where
) -> None:
    for need in needed:
        if allowed is not None and need not in allowed:
            check.add(
                "E341",
                at,
                f"{name} needs {what} '{need}', which limits.{what}s does not allow",
                f"add it to limits.{what}s, or use another agent",
            )


def _over(check: Checking, at: Where, worst: str, budget: str) -> None:
    check.add(
        "W351",
        at,
        f"worst case is {worst}, budget {budget}: the run may be stopped",
        "raise the budget, or lower max: and retry:",
    )
