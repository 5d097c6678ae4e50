"""Documents as nodes with positions, the same from YAML and from JSON.

What the text says, and where; must never know what a flow is.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.text.nodes import Broken, Document, Entry, Mapping, Node, Scalar, Sequence
from stratarouter_runtime.tcfp.text.reading import MAX_BYTES, Kind, read_text

__all__ = [
    "MAX_BYTES",
    "Broken",
    "Document",
    "Entry",
    "Kind",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "read_text",
]
