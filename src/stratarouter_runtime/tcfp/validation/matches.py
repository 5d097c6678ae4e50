"""The operator `match`: exhaustive arms, and what each arm knows of the subject.

Must never know modifiers.
"""

from __future__ import annotations

import json
from typing import TypeAlias

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.expressions import Facts, Scope, narrowing, narrowing_to
from stratarouter_runtime.tcfp.types import EnumType, Primitive, Type, UnknownType, show
from stratarouter_runtime.tcfp.validation import bounds, tree
from stratarouter_runtime.tcfp.validation.context import Checking, Place
from stratarouter_runtime.tcfp.validation.fits import compiled
from stratarouter_runtime.tcfp.validation.outcome import Outcome, greatest, raised, raised_by

Key: TypeAlias = str | bool | None
"""The value of a subject that an arm is for."""


def check_match(check: Checking, step: ir.Step, match: ir.Match, place: Place) -> Outcome:
    """The outcome of a match: the join of its arms."""
    subject = compiled(check, match.subject, place)
    labels = _labels(check, match, subject.type)
    arms: list[tuple[Key, tree.Step]] = []
    for label, body in sorted(match.cases, key=_label):
        key = _key(check, step, label, labels)
        holds = place.scope.narrow(_known(match.subject, key, place.scope))
        arms.append((key, check.step(body, place.into("case", label).seeing(holds))))
    otherwise = None
    if match.otherwise is not None:
        rest = _rest(match.subject, [key for key, _ in arms], place.scope)
        otherwise = check.step(match.otherwise, place.into("else").seeing(rest))
    elif labels:
        _check_exhaustive(check, step, match, labels)
    steps = [body for _, body in arms] + ([] if otherwise is None else [otherwise])
    facts = tree.Facts(
        greatest(body.facts.effect for body in steps),
        raised(steps) | raised_by(subject),
        bounds.dearest(body.facts.worst for body in steps),
    )
    type_ = relations.join(*(body.type for body in steps))
    return Outcome(tree.Match(subject, tuple(arms), otherwise), type_, facts, "match")


def _label(case: tuple[str, ir.Step]) -> str:
    return case[0]


def _labels(check: Checking, match: ir.Match, type_: Type) -> dict[str, Key] | None:
    """The labels there can be, with their values; None where the subject is unknown or in error."""
    if isinstance(type_, UnknownType):
        return None
    labels: dict[str, Key] = {"null": None} if relations.nullable(type_) else {}
    match_on = relations.without_null(type_)
    if isinstance(match_on, EnumType):
        return labels | {member: member for member in match_on.members}
    if isinstance(match_on, Primitive) and match_on.name == "bool":
        return labels | {"false": False, "true": True}
    check.add(
        "E315",
        check.whole(match.subject),
        f"match needs a bool or an enum, got {show(type_)}",
        'compute one first: =x > 0.5 ? "high" : "low"',
    )
    return None


def _key(check: Checking, step: ir.Step, label: str, labels: dict[str, Key] | None) -> Key:
    if labels is None:
        return label
    if label not in labels:
        hint = did_you_mean(label, labels) or f"labels: {', '.join(sorted(labels))}"
        check.add("E316", check.at(step.at, "cases", label), f"'{label}' is no value of the subject", hint)
        return label
    return labels[label]


def _check_exhaustive(check: Checking, step: ir.Step, match: ir.Match, labels: dict[str, Key]) -> None:
    written = {label for label, _ in match.cases}
    missing = sorted(labels.keys() - written)
    if missing and written <= labels.keys():
        check.add(
            "E317",
            check.at(step.at, "cases"),
            f"not exhaustive: missing {', '.join(missing)}",
            "add the cases or else:",
        )


def _known(subject: ir.Value, key: Key, scope: Scope) -> Facts:
    """What an arm knows of the names: that the subject equals its key."""
    if isinstance(key, bool):
        holds, fails = narrowing(subject, scope)
        return holds if key else fails
    return narrowing_to(subject, key, scope)


def _rest(subject: ir.Value, keys: list[Key], scope: Scope) -> Scope:
    """The names as `else` sees them: the subject equals none of the keys."""
    if not isinstance(subject, ir.Expression):
        return scope
    for key in keys:
        label = json.dumps(key, ensure_ascii=False)
        _, fails = narrowing(ir.Expression(f"({subject.source}) == {label}", subject.at), scope)
        scope = scope.narrow(fails)
    return scope
