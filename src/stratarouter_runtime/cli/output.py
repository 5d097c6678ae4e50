"""What commands print on standard output: text, tables, JSON documents.

Must never know: what is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import msgspec


def write(value: object) -> None:
    """Print text as it is, anything else as one JSON document."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    sys.stdout.write(text + "\n")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as what stands in them."""
    lines = [titles, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(titles))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
