"""A flow as a Mermaid flowchart: steps in order, parts in frames.

Must never know: plans.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, pairwise

from stratarouter_runtime.cli.outline import Node, brief


def draw(body: Node) -> str:
    """The text of a flowchart, top down."""
    return "\n".join(["flowchart TD", *("  " + line for line in _Chart().sequence(body.parts, 0)[0])])


class _Chart:
    """Numbers the boxes as they are drawn; a frame is a subgraph, and arrows may end at it."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def sequence(self, nodes: tuple[Node, ...], depth: int) -> tuple[list[str], str]:
        """The nodes one below the other; the lines, and the first box."""
        drawn = [self._draw(node, depth) for node in nodes]
        lines = [line for lines, _ in drawn for line in lines]
        lines += ["  " * depth + f"{a} --> {b}" for (_, a), (_, b) in pairwise(drawn)]
        return lines, drawn[0][1] if drawn else ""

    def _draw(self, node: Node, depth: int) -> tuple[list[str], str]:
        name, pad = f"n{next(self._numbers)}", "  " * depth
        if not node.parts:
            lines = [f'{pad}{name}["{_text(node)}"]']
        else:
            inner = self._inside(node, depth + 1)
            lines = [f'{pad}subgraph {name}["{_text(node)}"]', *inner, f"{pad}end"]
        return lines + list(self._aside(node, name, depth)), name

    def _inside(self, node: Node, depth: int) -> list[str]:
        if node.shape == "sequence":
            return self.sequence(node.parts, depth)[0]
        return [line for part in node.parts for line in self._draw(part, depth)[0]]

    def _aside(self, node: Node, name: str, depth: int) -> Iterator[str]:
        for each in node.aside:
            lines, other = self._draw(each, depth)
            yield from lines
            yield "  " * depth + f'{name} -. "{_escape(each.edge)}" .-> {other}'


def _text(node: Node) -> str:
    edge = f"{node.edge}: " if node.edge and not node.edge.startswith(("catch", "undo")) else ""
    lines = [edge + brief(node.title), *node.marks, f"→ {brief(node.type)}"]
    return "<br/>".join(_escape(line) for line in lines)


def _escape(text: str) -> str:
    """Mermaid reads markup and quotes in labels; entities stand for them."""
    for char, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(char, entity)
    return text
