"""A flow as an SVG picture, laid out and written here: no tool is needed to see it.

Boxes are measured from the inside out, then placed from the outside in. A sequence stands
one below the other with arrows, alternatives and branches side by side in a frame. Must
never know: plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from msgspec import Struct

from stratarouter_runtime.cli.outline import Node, brief

CHAR: Final = 7.3
"""Width of a character of the font, in pixels; a monospaced font makes this exact enough."""
LINE: Final = 17
PAD: Final = 10
GAP: Final = 26
LONGEST: Final = 64
"""Characters of a line of text; the whole of a longer one is its tooltip."""

_STYLE: Final = (
    "text{font:12px ui-monospace,monospace;fill:#1b1f24}.t{font-weight:bold}.m{fill:#57606a}"
    ".b{fill:#fff;stroke:#8c959f}.f{fill:#f6f8fa;stroke:#d0d7de}.a{stroke-dasharray:4 3}"
    "line{stroke:#57606a;marker-end:url(#p)}"
)
_ARROW: Final = (
    '<marker id="p" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker>'
)


class Group(Struct):
    """Boxes one below the other, or side by side, with the room they take together."""

    boxes: tuple[Box, ...]
    stacked: bool
    width: float
    height: float


class Box(Struct):
    """A node with its measures: its text, below it its parts, and beside these what mends failures."""

    node: Node
    text: tuple[str, ...]
    parts: Group
    aside: Group
    width: float
    height: float
    whole: str


def draw(title: str, body: Node) -> str:
    """The text of an SVG document."""
    root = measure(body)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{root.width + 2 * PAD:.0f}" '
            f'height="{root.height + 2 * PAD:.0f}" role="img">'
        ),
        f"<title>{escape(title)}</title><defs>{_ARROW}</defs><style>{_STYLE}</style>",
        *_place(root, PAD, PAD),
        "</svg>",
    ]
    return "\n".join(lines)


def measure(node: Node) -> Box:
    """The size of a node and of everything in it."""
    parts = _group(node.parts, stacked=node.shape == "sequence")
    aside = _group(node.aside, stacked=False)
    whole = (_title(node), *node.marks, f"→ {node.type}")
    text = tuple(brief(line, LONGEST) for line in whole)
    inner = parts.width + aside.width + (GAP if parts.boxes and aside.boxes else 0)
    below = max(parts.height, aside.height)
    return Box(
        node=node,
        text=text,
        parts=parts,
        aside=aside,
        width=max(max(len(line) for line in text) * CHAR, inner) + 2 * PAD,
        height=len(text) * LINE + (below + PAD if below else 0) + 2 * PAD,
        whole="\n".join(whole),
    )


def _group(nodes: Sequence[Node], *, stacked: bool) -> Group:
    boxes = tuple(measure(node) for node in nodes)
    widths, heights = [box.width for box in boxes] or [0.0], [box.height for box in boxes] or [0.0]
    gaps = GAP * (len(widths) - 1)
    if stacked:
        return Group(boxes, stacked, max(widths), sum(heights) + gaps)
    return Group(boxes, stacked, sum(widths) + gaps, max(heights))


def _title(node: Node) -> str:
    return f"{node.edge}: {node.title}" if node.edge else node.title


def _place(box: Box, x: float, y: float) -> Iterator[str]:
    kind = ("f" if box.parts.boxes or box.aside.boxes else "b") + (
        " a" if box.node.edge.startswith(("catch", "undo")) else ""
    )
    size = f'width="{box.width:.0f}" height="{box.height:.0f}"'
    yield f'<g><title>{escape(box.whole)}</title><rect class="{kind}" x="{x:.0f}" y="{y:.0f}" {size} rx="5"/>'
    for number, line in enumerate(box.text):
        style = "t" if number == 0 else "m"
        place = f'x="{x + PAD:.0f}" y="{y + PAD + LINE * (number + 0.75):.0f}"'
        yield f'<text class="{style}" {place}>{escape(line)}</text>'
    yield "</g>"
    x, y = x + PAD, y + PAD + len(box.text) * LINE + PAD
    yield from _place_group(box.parts, x, y)
    yield from _place_group(box.aside, x + (box.parts.width + GAP if box.parts.boxes else 0), y)


def _place_group(group: Group, x: float, y: float) -> Iterator[str]:
    corners = []
    for box in group.boxes:
        corners.append((x, y, box))
        yield from _place(box, x, y)
        x, y = (x, y + box.height + GAP) if group.stacked else (x + box.width + GAP, y)
    if group.stacked:
        for (ax, ay, above), (_, by, _) in pairwise(corners):
            middle = ax + min(above.width / 2, 60)
            yield f'<line x1="{middle:.0f}" y1="{ay + above.height:.0f}" x2="{middle:.0f}" y2="{by:.0f}"/>'
