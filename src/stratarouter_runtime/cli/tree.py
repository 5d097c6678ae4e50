"""A plan as lines of text: the tree of its steps, with types and worst-case cost.

Must never know: terminals. Lines are as long as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stratarouter_runtime.cli.outline import ROOM, Node, brief, cost, outline
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.tcfp.types import show


def draw(plan: Plan) -> str:
    """Name, signature, worst case, then one line a step."""
    body = outline(plan)
    return "\n".join([*_head(plan), *_parts(body, "")])


def _head(plan: Plan) -> Iterator[str]:
    yield f"{plan.name}  {show(plan.input.type)}"
    yield f"{' ' * len(plan.name)}  → {show(plan.output.type)}"
    yield f"flow {plan.flow_digest}"
    raises = f"; may raise {', '.join(plan.raises)}" if plan.raises else ""
    yield f"worst case {cost(plan.bound)}; {plan.effect}{raises}"


def _parts(node: Node, indent: str) -> Iterator[str]:
    below = (*node.parts, *node.aside)
    for index, part in enumerate(below):
        last = index == len(below) - 1
        yield indent + ("└─ " if last else "├─ ") + line(part)
        yield from _parts(part, indent + ("   " if last else "│  "))


def line(node: Node) -> str:
    """One step: how it hangs from its parent, what it does, its modifiers, its type, its cost."""
    edge = f"{node.edge} ─ " if node.edge else ""
    marks = f"  ({'; '.join(node.marks)})" if node.marks else ""
    return f"{edge}{brief(node.title, 2 * ROOM)}{marks} → {brief(node.type)}{_price(node)}"


def _price(node: Node) -> str:
    """What it may cost, where that is more than a step or two of its own."""
    bound = node.bound
    interesting: Sequence[object] = [bound.usd, bound.tokens, bound.steps > 1]
    return f"  [{cost(bound)}]" if any(interesting) else ""
