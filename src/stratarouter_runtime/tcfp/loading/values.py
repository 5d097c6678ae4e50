"""Values of a flow: data in which strings that start with `=` are expressions.

`==x` is the literal string `=x`. Must never know what an expression means.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stratarouter_runtime.canonical import MAX_INTEGER
from stratarouter_runtime.tcfp.ir import NOWHERE, Constant, Expression, ListValue, RecordValue, Value, Where
from stratarouter_runtime.tcfp.text import Broken, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.diagnostics import Diagnostics

NOTHING = Constant(None, NOWHERE)
"""What stands for a value that a diagnostic speaks of."""


def read_value(node: Node, diagnostics: Diagnostics) -> Value:
    """The value that a node writes."""
    match node:
        case Scalar():
            return _scalar(node, diagnostics)
        case Sequence():
            return ListValue(tuple(read_value(item, diagnostics) for item in node.items), node.at)
        case Mapping():
            fields = tuple((entry.key, read_value(entry.value, diagnostics)) for entry in node.entries)
            return RecordValue(fields, node.at)
        case Broken():
            return NOTHING


def _scalar(node: Scalar, diagnostics: Diagnostics) -> Value:
    data = node.data
    if isinstance(data, str):
        if data.startswith("=="):
            return Constant(data[1:], node.at)
        if data.startswith("="):
            start = Where(node.at.pointer, node.line, node.column, node.jumps)
            return Expression(data[1:], start.after(1))
    elif isinstance(data, float) and not math.isfinite(data):
        diagnostics.add("E131", node.at, "a number must be finite", "quote it if it is text")
    elif isinstance(data, int) and abs(data) > MAX_INTEGER:
        diagnostics.add("E131", node.at, "an integer is beyond ±(2^53-1)", "quote it if it is text")
    return Constant(data, node.at)
