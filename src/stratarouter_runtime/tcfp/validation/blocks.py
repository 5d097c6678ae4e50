"""The operators that hold steps once: do, par, race; `match` is in `matches`, what repeats in `rounds`.

Must never know modifiers.
"""

from __future__ import annotations

from msgspec.structs import replace

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.expressions import narrowing
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.types import NULL, Type, enum, record
from stratarouter_runtime.tcfp.validation import bounds, kinds, lasting, tree
from stratarouter_runtime.tcfp.validation.context import Checking, Place
from stratarouter_runtime.tcfp.validation.fits import compiled
from stratarouter_runtime.tcfp.validation.names import bind
from stratarouter_runtime.tcfp.validation.outcome import Outcome, greatest, raised, raised_by
from stratarouter_runtime.tcfp.validation.tree import Facts


def check_do(check: Checking, do: ir.Do, place: Place, *prefix: str) -> Outcome:
    """A block: later steps see earlier ids. `prefix` is the position below which its steps stand."""
    scope = place.scope
    steps: list[tree.Step] = []
    for index, step in enumerate(do.steps):
        inner = place.into(*prefix, str(index)).seeing(scope)
        checked = check.step(step, inner)
        steps.append(checked)
        if step.id is not None:
            scope = bind(check, inner, step.id, checked.type, checked.slot, check.at(step.at, "id"))
        if step.guard is not None and _leaves(checked):
            _, fails = narrowing(step.guard, scope)
            scope = scope.narrow(fails)
    result = None if do.result is None else compiled(check, do.result, place.seeing(scope))
    lasting.check_sequence(check, steps)
    type_ = _result_type(steps, result)
    facts = _all(steps, bounds.sequence(step.facts.worst for step in steps))
    facts = replace(facts, raises=facts.raises | raised_by(result))
    return Outcome(tree.Do(tuple(steps), result, scope), type_, facts, "do")


def _leaves(step: tree.Step) -> bool:
    """Whether nothing goes on behind the step, once its guard holds: the rest may rely on the guard's contrary."""
    return step.type == NULL and not step.catch and isinstance(step.does, tree.Fail)


def _result_type(steps: list[tree.Step], result: Code | None) -> Type:
    if result is not None:
        return result.type
    return steps[-1].type if steps else NULL


def _all(steps: list[tree.Step], worst: bounds.Worst) -> Facts:
    return Facts(greatest(step.facts.effect for step in steps), raised(steps), worst)


def _branches(
    check: Checking, branches: tuple[tuple[str, ir.Step], ...], place: Place, word: str
) -> tuple[tuple[str, tree.Step], ...]:
    """In the order of names: the order in which a mapping is written means nothing."""
    return tuple(
        (name, check.step(step, place.into(word, name))) for name, step in sorted(branches, key=_name)
    )


def _name(branch: tuple[str, ir.Step]) -> str:
    return branch[0]


def check_par(check: Checking, par: ir.Par, place: Place) -> Outcome:
    """All branches at once: a record of what they give."""
    branches = _branches(check, par.branches, place, "par")
    steps = [step for _, step in branches]
    lasting.check_together(check, steps)
    type_ = record({name: step.type for name, step in branches})
    facts = _all(steps, bounds.together(step.facts.worst for step in steps))
    return Outcome(tree.Par(branches), type_, facts, "par")


def check_race(check: Checking, step: ir.Step, race: ir.Race, place: Place) -> Outcome:
    """The first branch that succeeds: `{by, out}`."""
    branches = _branches(check, race.branches, place, "race")
    for name, branch in branches:
        if branch.facts.effect == "effect":
            check.add(
                "E332",
                check.at(step.at, "race", name),
                f"branch '{name}' has side effects, and a loser of a race may be half done",
                "race pure or idempotent agents only",
            )
    steps = [branch for _, branch in branches]
    type_ = record(
        {"by": enum(name for name, _ in branches), "out": relations.join(*(step.type for step in steps))}
    )
    facts = _all(steps, bounds.together(step.facts.worst for step in steps))
    can_fail = all(step.facts.raises for step in steps)
    facts = replace(facts, raises=kinds.ALL_FAILED if can_fail else kinds.NONE)
    return Outcome(tree.Race(branches), type_, facts, "race")
