"""`strata graph`: a flow as a tree of text, as Mermaid, or as an SVG.

Must never know: how a flow is checked, or how each picture is drawn.
"""

from __future__ import annotations

from stratarouter_runtime.cli import mermaid as mermaid_text
from stratarouter_runtime.cli import svg as svg_text
from stratarouter_runtime.cli import tree
from stratarouter_runtime.cli.arguments import Json
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.flows import compile_document, declared, read
from stratarouter_runtime.cli.outline import outline, sketch
from stratarouter_runtime.cli.output import write


def graph(
    flow: str,
    /,
    *,
    mermaid: bool = False,
    svg: bool = False,
    json: Json = False,
) -> int:
    """Draw a flow with its types and its worst-case cost.

    Parameters
    ----------
    flow
        A flow in YAML or JSON; - reads standard input.
    mermaid
        Write a Mermaid flowchart instead of a tree.
    svg
        Write an SVG picture instead of a tree.
    """
    document = read(flow)
    plan = compile_document(document, declared(document))
    if mermaid:
        write(mermaid_text.draw(outline(plan)))
    elif svg:
        write(svg_text.draw(plan.name, outline(plan)))
    elif json:
        write(sketch(plan))
    else:
        write(tree.draw(plan))
    return Exit.OK
