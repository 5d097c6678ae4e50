"""One step: its operator, with the modifiers around it in the order of the language.

`if`, then attempts (each within `time`, with `retry` around them), `catch`, the bound
result, `undo`. Must never know what any one operator means.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.expressions import narrowing
from stratarouter_runtime.tcfp.plan import NONE, Code
from stratarouter_runtime.tcfp.types import Type
from stratarouter_runtime.tcfp.validation import blocks, bounds, handlers, kinds, leaves, policy
from stratarouter_runtime.tcfp.validation.context import Checking, Place
from stratarouter_runtime.tcfp.validation.fits import condition
from stratarouter_runtime.tcfp.validation.matches import check_match
from stratarouter_runtime.tcfp.validation.names import bind, check_name
from stratarouter_runtime.tcfp.validation.outcome import Outcome, greatest, raised_by
from stratarouter_runtime.tcfp.validation.rounds import check_each, check_loop
from stratarouter_runtime.tcfp.validation.routes import check_route
from stratarouter_runtime.tcfp.validation.tree import Facts, Step

UNDO_RETRY = ir.Retry(max=3, wait=100_000, factor=2.0)
"""How an undo is retried unless it says so itself."""


def check_step(check: Checking, step: ir.Step, place: Place) -> Step:
    """The step with everything that can be known of it; each mistake becomes a diagnostic."""
    guard, inner = _guarded(check, step, place)
    outcome = _operator(check, step, inner)
    facts = _attempts(check, step, outcome.facts, guard)
    caught, facts = handlers.check_handlers(check, step, inner, facts)
    type_ = relations.join(outcome.type, *(handler.body.type for handler in caught))
    slot = NONE if step.id is None else place.frame.slot()
    undo, facts = _undo(check, step, inner, type_, slot, facts)
    policy.check_limits(check, step.limits, facts.worst)
    return Step(
        source=step,
        name=step.id or outcome.name,
        path=place.path,
        does=outcome.does,
        type=type_ if guard is None else relations.optional(type_),
        depth=place.frame.depth,
        slot=slot,
        facts=replace(facts, worst=bounds.capped(facts.worst, step.limits)),
        guard=guard,
        catch=caught,
        undo=undo,
    )


def _guarded(check: Checking, step: ir.Step, place: Place) -> tuple[Code | None, Place]:
    inner = place if step.limits is None else replace(place, policy=place.policy.within(step.limits))
    if step.guard is None:
        return None, inner
    code = condition(check, step.guard, place, "if")
    holds, _ = narrowing(step.guard, place.scope)
    return code, inner.seeing(place.scope.narrow(holds))


def _operator(check: Checking, step: ir.Step, place: Place) -> Outcome:  # noqa: C901, PLR0912 - one case an operator
    match step.does:
        case ir.Call() as call:
            return leaves.check_call(check, step, call, place)
        case ir.Route() as route:
            return check_route(check, step, route, place)
        case ir.Let() as let:
            return leaves.check_let(check, step, let, place)
        case ir.Do() as do:
            return blocks.check_do(check, do, place, "do")
        case ir.Match() as match:
            return check_match(check, step, match, place)
        case ir.Par() as par:
            return blocks.check_par(check, par, place)
        case ir.Race() as race:
            return blocks.check_race(check, step, race, place)
        case ir.Each() as each:
            return check_each(check, step, each, place)
        case ir.Loop() as loop:
            return check_loop(check, step, loop, place)
        case ir.Ask() as ask:
            return leaves.check_ask(check, step, ask, place)
        case ir.Sleep() as sleep:
            return leaves.check_sleep(check, step, sleep)
        case ir.Fail() as fail:
            return leaves.check_fail(check, step, fail, place)
        case _:
            assert_never(step.does)


def _attempts(check: Checking, step: ir.Step, facts: Facts, guard: Code | None) -> Facts:
    """The facts with `time`, `retry` and the step's own limits around the operator."""
    raised = facts.raises | policy.raised_by_limits(step.limits)
    if step.time is not None:
        raised |= kinds.TIMED
    if step.retry is not None:
        _check_retry(check, step, step.retry, replace(facts, raises=raised))
    worst = bounds.retried(bounds.bounded(facts.worst, step.time), step.retry)
    return Facts(facts.effect, raised | raised_by(guard), worst)


def _check_retry(check: Checking, step: ir.Step, retry: ir.Retry, facts: Facts) -> None:
    at = check.at(step.at, "retry")
    if facts.effect == "effect" and retry.max > 0 and not retry.unsafe:
        check.add(
            "E330",
            at,
            "retry of a side-effecting step may apply the effect twice",
            "make the agent idempotent, or write unsafe: true",
        )
    handlers.check_patterns(check, at, retry.on, facts.raises)


def _undo(
    check: Checking, step: ir.Step, place: Place, type_: Type, slot: int, facts: Facts
) -> tuple[Step | None, Facts]:
    """The undo sees the step's own result; what it raises is reported, not raised."""
    if step.undo is None:
        if step.id is not None:
            check_name(check, place, step.id, check.at(step.at, "id"))
        return None, facts
    if step.id is not None:
        place = place.seeing(bind(check, place, step.id, type_, slot, check.at(step.at, "id")))
    undo = check.step(step.undo, place.into("undo"))
    if undo.facts.effect == "effect":
        check.add(
            "E331",
            check.at(step.at, "undo"),
            "an undo with side effects cannot be repeated safely",
            "make the agent pure or idempotent",
        )
    worst = undo.facts.worst
    if step.undo.retry is None:
        worst = bounds.retried(worst, UNDO_RETRY)
    effect = greatest((facts.effect, undo.facts.effect))
    return undo, Facts(effect, facts.raises, bounds.sequence((facts.worst, worst)))
