"""The accounts of a run: what calls reserve before they are made, and settle afterwards.

A call is charged to every scope around it. Its declared cost is reserved first; a scope
that has no room for it fails as a whole, before anything is spent. Must never know: what
is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from stratarouter_runtime.state.events import Budget, Failure
from stratarouter_runtime.state.run import Fail

if TYPE_CHECKING:
    from stratarouter_runtime.state.events import Started, Usage
    from stratarouter_runtime.state.run import Frame, Run, Scope
    from stratarouter_runtime.tcfp.ir import Cost, Limits
    from stratarouter_runtime.tcfp.plan import Plan

NANO = 1_000_000_000
SPENT = frozenset({"limit.usd", "limit.tokens"})
"""What a flow that was called fails with where its caller has no more to give."""
N = TypeVar("N", int, float)


def whole_limits(plan: Plan, started: Started) -> Limits:
    """The limits of a whole run: those of its flow, and the caller's budget where that is tighter."""
    limits, budget = plan.limits, started.budget
    if budget is None:
        return limits
    return replace(
        limits, usd=_tighter(limits.usd, budget.usd), tokens=_tighter(limits.tokens, budget.tokens)
    )


def _tighter(one: N | None, other: N | None) -> N | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def deadline_of(frame: Frame) -> int | None:
    """The nearest deadline of the scopes around a frame."""
    nearest: int | None = None
    for scope in _around(frame):
        nearest = _tighter(nearest, scope.deadline)
    return nearest


def count_step(run: Run, frame: Frame) -> bool:
    """Count one more leaf, once for all its attempts; False where a scope has had its fill, and fails."""
    if frame.attempt > 1:
        return True
    for scope in _around(frame):
        scope.steps += 1
        if scope.limits.steps is not None and scope.steps > scope.limits.steps:
            _refuse(run, scope, "steps", f"step {scope.steps} of at most {scope.limits.steps}")
            return False
    return True


def reserve(run: Run, frame: Frame, cost: Cost) -> bool:
    """Reserve the cost of a call in every scope; False where one refuses, which then fails.

    Undos are charged to the scopes in which they run, but never refused: their frames have no scope.
    """
    price = _nano(cost.usd)
    for scope in _around(frame):
        usd, tokens = scope.limits.usd, scope.limits.tokens
        if usd is not None and scope.nanousd + price > _nano(usd):
            left = usd - scope.nanousd / NANO
            _refuse(
                run, scope, "usd", f"{frame.op.name} may cost {cost.usd:g} usd, {left:g} of {usd:g} are left"
            )
            return False
        if tokens is not None and scope.tokens + cost.tokens > tokens:
            left_tokens = tokens - scope.tokens
            _refuse(
                run,
                scope,
                "tokens",
                f"{frame.op.name} may take {cost.tokens} tokens, {left_tokens} of {tokens} are left",
            )
            return False
    for scope in _charged(frame):
        scope.nanousd += price
        scope.tokens += cost.tokens
    return True


def left_for(frame: Frame, cost: Cost) -> Budget | None:
    """What a call, whose cost is reserved, may spend before a scope around it is used up; None without end."""
    usd: float | None = None
    tokens: int | None = None
    for scope in _around(frame):
        limits = scope.limits
        if limits.usd is not None:
            nano = _nano(limits.usd) - scope.nanousd + _nano(cost.usd)
            usd = _tighter(usd, max(0, nano) / NANO)
        if limits.tokens is not None:
            tokens = _tighter(tokens, max(0, limits.tokens - scope.tokens + cost.tokens))
    return None if usd is None and tokens is None else Budget(usd, tokens)


def exhaust(run: Run, frame: Frame, failure: Failure) -> bool:
    """What was called has used up what was left here: fail the scope that has least; False where none has any."""
    limit = failure.kind.removeprefix("limit.")
    limited = [scope for scope in _around(frame) if getattr(scope.limits, limit) is not None]
    if not limited:
        return False
    scope = min(limited, key=_left_of_usd if limit == "usd" else _left_of_tokens)
    _refuse(run, scope, limit, f"{frame.op.name}: {failure.message}")
    return True


def _left_of_usd(scope: Scope) -> int:
    return _nano(scope.limits.usd or 0.0) - scope.nanousd


def _left_of_tokens(scope: Scope) -> int:
    return (scope.limits.tokens or 0) - scope.tokens


def settle(run: Run, frame: Frame, cost: Cost, usage: Usage) -> None:
    """Put what a call really took in the place of what was reserved for it."""
    price, tokens = _nano(usage.usd), usage.tokens_in + usage.tokens_out
    more, more_tokens = price - _nano(cost.usd), tokens - cost.tokens
    for scope in _charged(frame):
        scope.nanousd += more
        scope.tokens += more_tokens
    run.nanousd += price
    run.tokens_in += usage.tokens_in
    run.tokens_out += usage.tokens_out
    run.ms += usage.ms


def take_place(frame: Frame, turn: Scope | None) -> Scope | None:
    """Take one of the `parallel` places of every scope, or queue at the first that has none.

    Returns that scope, or None where all places were taken. Whoever waits goes first, save
    that it is the frame's own `turn` there.
    """
    around = _around(frame)
    for scope in around:
        if not has_room(scope) or (scope.waiting and scope is not turn):
            scope.waiting.append(frame)
            return scope
    for scope in around:
        scope.running += 1
    return None


def leave_place(frame: Frame) -> list[Scope]:
    """Give the places back; the scopes where somebody waits for one."""
    around = _around(frame)
    for scope in around:
        scope.running -= 1
    return [scope for scope in around if scope.waiting]


def has_room(scope: Scope) -> bool:
    """Whether one more call may be made in this scope."""
    return scope.limits.parallel is None or scope.running < scope.limits.parallel


def _nano(usd: float) -> int:
    return round(usd * NANO) if usd else 0


def _around(frame: Frame) -> tuple[Scope, ...]:
    return () if frame.scope is None else frame.scope.chain


def _charged(frame: Frame) -> tuple[Scope, ...]:
    """The scopes that pay for a frame: those around it, and for an undo those around what is undone."""
    payer: Frame | None = frame
    while payer is not None and payer.scope is None:
        payer = payer.parent
    return () if payer is None else _around(payer)


def _refuse(run: Run, scope: Scope, limit: str, message: str) -> None:
    failure = Failure(f"limit.{limit}", message, None, scope.owner.path)
    run.agenda.append(Fail(scope.owner, failure, final=True))
