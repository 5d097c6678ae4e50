"""Side effects that stay although something after, or beside, them fails: W333.

An effect that is undone does not stay; one after which nothing can fail need not be undone.
Must never know how effects or errors are found.
"""

from __future__ import annotations

from collections.abc import Sequence

from stratarouter_runtime.tcfp.validation import tree
from stratarouter_runtime.tcfp.validation.context import Checking
from stratarouter_runtime.tcfp.validation.kinds import EXPRESSION


def check_sequence(check: Checking, steps: Sequence[tree.Step]) -> None:
    """Steps in order: each effect has to outlast those after it."""
    can_fail = False
    for step in reversed(steps):
        if can_fail:
            _tell(check, step)
        can_fail = can_fail or _can_fail(step)


def check_together(check: Checking, steps: Sequence[tree.Step]) -> None:
    """Steps side by side: each effect has to outlast the others."""
    for step in steps:
        if any(_can_fail(other) for other in steps if other is not step):
            _tell(check, step)


def check_rounds(check: Checking, body: tree.Step, most: int) -> None:
    """A step again and again: the effects of one round have to outlast the others."""
    if most > 1 and _can_fail(body):
        _tell(check, body)


def _can_fail(step: tree.Step) -> bool:
    """Whether more than an expression may go wrong."""
    return not step.facts.raises <= EXPRESSION


def _tell(check: Checking, step: tree.Step) -> None:
    for leaf in _lasting(step):
        check.add(
            "W333",
            leaf.source.at,
            f"the effect of '{leaf.name}' stays when something after or beside it fails",
            "add undo:, or let it be the last step",
        )


def _lasting(step: tree.Step) -> list[tree.Step]:
    """The leaves with side effects that no undo takes back; a race may have none at all (E332)."""
    if step.facts.effect != "effect" or step.undo is not None or isinstance(step.does, tree.Race):
        return []
    own = [step] if isinstance(step.does, tree.Call | tree.Route) else []
    return own + [leaf for inner in tree.children(step) for leaf in _lasting(inner)]
