"""What checking an operator gives, and how facts combine.

Must never know any one operator.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from stratarouter_runtime.tcfp.ir import EFFECTS, Effect
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.types import Type
from stratarouter_runtime.tcfp.validation.kinds import EXPRESSION, NONE, Kinds
from stratarouter_runtime.tcfp.validation.tree import Facts, Operator, Step


class Outcome(Struct, frozen=True):
    """An operator, checked: its type before modifiers, its facts, and a name for people."""

    does: Operator
    type: Type
    facts: Facts
    name: str


def raised_by(*codes: Code | None) -> Kinds:
    """Evaluating anything but a constant may raise `expression`."""
    return EXPRESSION if any(code is not None and not code.constant for code in codes) else NONE


def greatest(effects: Iterable[Effect]) -> Effect:
    """The strongest effect; `pure` of none."""
    return max(effects, key=EFFECTS.index, default="pure")


def raised(steps: Iterable[Step]) -> Kinds:
    """Every kind that any of the steps may raise."""
    return NONE.union(*(step.facts.raises for step in steps))
