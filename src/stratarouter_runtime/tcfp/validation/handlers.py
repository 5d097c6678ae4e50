"""Catching: which kinds a handler gets, what its error looks like, and what still escapes.

Must never know where errors come from.
"""

from __future__ import annotations

from collections.abc import Sequence

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.types import STRING, UNKNOWN, Type, enum, record
from stratarouter_runtime.tcfp.validation import bounds
from stratarouter_runtime.tcfp.validation.context import Checking, Place
from stratarouter_runtime.tcfp.validation.kinds import ANYTHING, BUILT_IN, CANCELLED, Kinds, selected, selects
from stratarouter_runtime.tcfp.validation.names import bind
from stratarouter_runtime.tcfp.validation.outcome import greatest, raised
from stratarouter_runtime.tcfp.validation.tree import Facts, Handler


def check_handlers(
    check: Checking, step: ir.Step, place: Place, facts: Facts
) -> tuple[tuple[Handler, ...], Facts]:
    """The handlers of a step, and its facts with what they catch taken out and what they do added."""
    if not step.catch:
        return (), facts
    left = facts.raises
    found = []
    for index, catch in enumerate(step.catch):
        at = check.at(step.at, "catch", index)
        caught = check_patterns(check, at, catch.on, left)
        found.append(_handler(check, catch, place.into("catch", str(index)), caught, at))
        left -= caught
    bodies = [handler.body for handler in found]
    effect = greatest((facts.effect, *(body.facts.effect for body in bodies)))
    worst = bounds.sequence((facts.worst, *(body.facts.worst for body in bodies)))
    return tuple(found), Facts(effect, left | raised(bodies), worst)


def check_patterns(check: Checking, at: Where, patterns: Sequence[str], raises: Kinds) -> Kinds:
    """The kinds among `raises` that the patterns select; `at` is what holds their `on`."""
    caught: Kinds = frozenset()
    for index, pattern in enumerate(patterns):
        mine = selected((pattern,), raises)
        if not mine:
            _check_pattern(check, check.at(at, "on", index), pattern, raises)
        caught |= mine
    return caught


def _check_pattern(check: Checking, at: Where, pattern: str, raises: Kinds) -> None:
    """Say why a pattern selects nothing."""
    if pattern == CANCELLED:
        check.add("E321", at, "cancelled cannot be caught", "undo: runs when an execution is cancelled")
    elif not any(selects(pattern, kind) for kind in check.kinds):
        hint = did_you_mean(pattern, _patterns(check))
        check.add("E320", at, f"unknown error kind '{pattern}'", hint or "declare it under errors:")
    elif ANYTHING not in raises:
        hint = "remove it, or check what the step calls"
        if selects("limit", pattern):
            hint = "limits of an outer scope cannot be caught: catch it where the limits: stand"
        check.add("W321", at, f"'{pattern}' is never raised here", hint)


def _handler(check: Checking, catch: ir.Catch, place: Place, caught: Kinds, at: Where) -> Handler:
    slot = place.frame.slot()
    scope = bind(check, place, catch.binder, _error(check, catch, caught), slot, check.at(at, "as"))
    return Handler(catch.on, slot, check.step(catch.body, place.seeing(scope)))


def _error(check: Checking, catch: ir.Catch, caught: Kinds) -> Type:
    """`{kind, message, data}`; where it is unknown what is caught, of every kind the patterns select."""
    kinds = (caught - {ANYTHING}) or selected(catch.on, check.kinds)
    if not kinds:
        return UNKNOWN
    data = relations.join(*(check.data_of(kind) for kind in sorted(kinds)))
    return record({"kind": enum(kinds), "message": STRING, "data": data})


def _patterns(check: Checking) -> list[str]:
    """Everything `on` may say."""
    return sorted({*check.kinds, *BUILT_IN, "agent", "limit"} - {CANCELLED})
