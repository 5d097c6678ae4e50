"""Mistakes of an expression, put at the line and column of the document.

Must never know the rules that find them.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.checked import UNTYPED, Typed
from stratarouter_runtime.tcfp.expressions.kinds import kinds
from stratarouter_runtime.tcfp.expressions.syntax import Node
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.relations import nullable
from stratarouter_runtime.tcfp.types import Type, show


class Reporter:
    """Where the source of one expression stands, and who is told."""

    def __init__(self, diagnostics: Diagnostics, source: str, at: Where) -> None:
        self._diagnostics = diagnostics
        self._source = source
        self._at = at
        self.failed = False

    def add(self, code: str, offset: int, message: str, hint: str = "") -> Typed:
        """Note a mistake at `offset` of the source; gives what stands for a node in error."""
        self.failed = True
        self._diagnostics.add(code, self._at.after(offset), message, hint)
        return UNTYPED

    def null(self, offset: int, operand: Node, type_: Type) -> Typed:
        """E212: the value of `operand` is needed, and may be null."""
        name = path_text(operand) or "x"
        hint = f"test it first ({name} != null ? … : …) or use orValue()"
        return self.add("E212", offset, f"{show(type_)} may be null here", hint)

    def no_null(self, offset: int, operands: tuple[tuple[Node, Typed], ...]) -> Typed | None:
        """E212 for the first of `operands` that may be null, or None where none may.

        Of json, null is the least to be said: that it has to be converted is for the caller to say.
        """
        for node, typed in operands:
            if nullable(typed.type) and kinds(typed.type) != {"json"}:
                return self.null(offset, node, typed.type)
        return None


def path_text(node: Node) -> str:
    """`p.page` for a name and its fields; empty for anything else."""
    match node:
        case syntax.Name():
            return node.name
        case syntax.Field():
            target = path_text(node.target)
            return f"{target}.{node.name}" if target else ""
        case _:
            return ""
