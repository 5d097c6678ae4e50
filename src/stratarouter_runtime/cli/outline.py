"""A plan as the tree its author wrote: every step with its parts, in plain words.

What text, Mermaid and SVG draw from. Must never know: how it is drawn.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.tcfp import plan
from stratarouter_runtime.tcfp.durations import format_duration
from stratarouter_runtime.tcfp.ir import Limits
from stratarouter_runtime.tcfp.plan import NONE, Bound, Op, Plan
from stratarouter_runtime.tcfp.types import show

Shape: TypeAlias = Literal["leaf", "sequence", "together", "choice", "round"]
"""How the parts of a node run: none, in order, all at once, one of them, again and again."""


ROOM: Final = 80
"""Characters that a type may take where a step is drawn; `strata graph --json` has the whole of it."""


class Node(Struct, frozen=True):
    """One step. `edge` says how it hangs from its parent (`case ok`, `flight`, `undo`, ``)."""

    title: str
    type: str
    shape: Shape = "leaf"
    edge: str = ""
    marks: tuple[str, ...] = ()
    bound: Bound = Bound()
    parts: tuple[Node, ...] = ()
    aside: tuple[Node, ...] = ()
    """Handlers and undos: what runs only when something fails."""


class Sketch(Struct, frozen=True):
    """A flow as `strata graph --json` prints it: its signature, its worst case, and its steps."""

    flow: str
    digest: str
    input: str
    output: str
    effect: str
    raises: tuple[str, ...]
    worst_case: Bound
    body: Node


def sketch(of: Plan) -> Sketch:
    """The plan with everything that a picture shows, nothing of it shortened."""
    return Sketch(
        flow=of.name,
        digest=of.flow_digest,
        input=show(of.input.type),
        output=show(of.output.type),
        effect=of.effect,
        raises=of.raises,
        worst_case=of.bound,
        body=outline(of),
    )


def outline(of: Plan) -> Node:
    """The body of the plan, with everything below it."""
    return _node(of, of.ops[0], "")


def cost(bound: Bound) -> str:
    """A worst case in words, without what is free: `9 steps, 12 attempts, $0.096, 21,000 tokens, 1m2s`."""
    parts = [
        f"{bound.steps:,} step{'s' if bound.steps != 1 else ''}",
        f"{bound.attempts:,} attempt{'s' if bound.attempts != 1 else ''}" if bound.attempts else "",
        f"${bound.usd:.6f}".rstrip("0").rstrip(".") if bound.usd else "",
        f"{bound.tokens:,} tokens" if bound.tokens else "",
        span(bound.time) if bound.time else "",
    ]
    return ", ".join(part for part in parts if part)


def span(micros: int) -> str:
    """A duration for people: to the millisecond below ten seconds, then to the second, never too short."""
    step = 1_000 if micros < 10_000_000 else 1_000_000
    return format_duration(-(-micros // step) * step)


def brief(text: str, room: int = ROOM) -> str:
    """A type or an expression in at most `room` characters: what is nested deepest goes first, the end last."""
    for depth in range(_depth(text), 1, -1):
        if len(text) <= room:
            break
        text = _folded(text, depth)
    return text if len(text) <= room else text[: room - 1] + "…"


def _depth(text: str) -> int:
    return max(accumulate((char in "{[") - (char in "}]") for char in text), default=0)


def _folded(text: str, depth: int) -> str:
    """`text` with the contents of all brackets at this depth replaced by `…`."""
    kept, level = [], 0
    for char in text:
        level -= char in "}]"
        if level < depth:
            kept.append(char)
        level += char in "{["
        if char in "{[" and level == depth:
            kept.append("…")
    return "".join(kept)


def _node(of: Plan, op: Op, edge: str) -> Node:
    title, shape, parts = _does(of, op)
    return Node(
        title=title
        if isinstance(op.does, plan.Exit) or op.name in {title, *title.split()}
        else f"{op.name}: {title}",
        type=show(op.type),
        shape=shape,
        edge=edge,
        marks=_marks(op),
        bound=op.bound,
        parts=parts,
        aside=_aside(of, op),
    )


def _aside(of: Plan, op: Op) -> tuple[Node, ...]:
    handlers = tuple(_node(of, of.ops[each.op], f"catch {', '.join(each.on) or 'all'}") for each in op.catch)
    return handlers if op.undo == NONE else (*handlers, _node(of, of.ops[op.undo], "undo"))


def _does(of: Plan, op: Op) -> tuple[str, Shape, tuple[Node, ...]]:  # noqa: C901, PLR0912 - one case an operator
    match op.does:
        case plan.Call(agent=agent):
            return f"call {of.agents[agent].name}", "leaf", ()
        case plan.Route() as route:
            return _route(of, route), "leaf", ()
        case plan.Let() as let:
            return f"let {_source(let.value)}", "leaf", ()
        case plan.Enter(first=first):
            return "do", "sequence", _block(of, first)
        case plan.Exit(value=value):
            return f"return {_source(value)}" if value else "return", "leaf", ()
        case plan.Switch() as switch:
            return f"match {_source(switch.subject)}", "choice", _arms(of, switch)
        case plan.Fork(branches=branches):
            return "par", "together", tuple(_node(of, of.ops[at], name) for name, at in branches)
        case plan.Race(branches=branches):
            return "race", "together", tuple(_node(of, of.ops[at], name) for name, at in branches)
        case plan.Map() as each:
            width = f", {each.parallel} at a time" if each.parallel else ""
            title = f"each {_source(each.items)}, at most {each.max}{width}"
            return title, "round", (_node(of, of.ops[each.body], ""),)
        case plan.Loop() as loop:
            title = f"loop while {_source(loop.test)}, at most {loop.max} times"
            return title, "round", (_node(of, of.ops[loop.body], ""),)
        case plan.Ask(sleep=True, time=time):
            return f"sleep {format_duration(time)}", "leaf", ()
        case plan.Ask() as ask:
            sender = f" from {ask.sender}" if ask.sender else ""
            return f"ask{sender} within {format_duration(ask.time)}", "leaf", ()
        case plan.Fail(kind=kind):
            return f"fail {kind}", "leaf", ()


def _block(of: Plan, first: int) -> tuple[Node, ...]:
    nodes = []
    at = first
    while at != NONE:
        op = of.ops[at]
        if isinstance(op.does, plan.Exit) and op.does.value is None:
            break
        nodes.append(_node(of, op, ""))
        at = NONE if isinstance(op.does, plan.Exit) else op.next
    return tuple(nodes)


def _arms(of: Plan, switch: plan.Switch) -> tuple[Node, ...]:
    arms = [(f"case {_label(label)}", at) for label, at in switch.arms.items()]
    if switch.otherwise != NONE:
        arms.append(("else", switch.otherwise))
    return tuple(_node(of, of.ops[at], edge) for edge, at in arms)


def _label(label: str | bool | None) -> str:  # noqa: FBT001 - the value itself
    return label if isinstance(label, str) else "null" if label is None else str(label).lower()


def _route(of: Plan, route: plan.Route) -> str:
    names = " | ".join(of.agents[each].name for each in route.candidates)
    rules = f", {len(route.rules)} rule{'s' if len(route.rules) > 1 else ''} first" if route.rules else ""
    other = f", else {of.agents[route.otherwise].name}" if route.otherwise != NONE else ""
    return f"route {names}{rules}{other}"


def _marks(op: Op) -> tuple[str, ...]:
    retry = op.retry
    marks = [
        f"if {_source(op.guard)}" if op.guard else "",
        f"time {format_duration(op.time)}"
        if op.time is not None and not isinstance(op.does, plan.Ask)
        else "",
        f"retry {retry.max}" if retry else "",
        f"limits {_limits(op.limits)}" if op.limits else "",
    ]
    return tuple(mark for mark in marks if mark)


def _limits(limits: Limits) -> str:
    parts = [
        f"${limits.usd}" if limits.usd is not None else "",
        f"{limits.tokens} tokens" if limits.tokens is not None else "",
        format_duration(limits.time) if limits.time is not None else "",
        f"{limits.steps} steps" if limits.steps is not None else "",
        f"{limits.parallel} parallel" if limits.parallel is not None else "",
    ]
    return ", ".join(part for part in parts if part) or "policy"


def _source(code: plan.Code | None) -> str:
    return " ".join(code.source.split()) if code else ""
