"""What a plain scalar means: the core schema of YAML 1.2, and nothing else.

`no`, `on`, `yes`, dates, `1_000` and `1:30` are strings. Must never know positions.
"""

from __future__ import annotations

import re
from typing import Final

_CONSTANTS: Final[dict[str, bool | float | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NUMERIC: Final = frozenset("0123456789+-.")
_MAX_DIGITS: Final = 4000
"""Python refuses to read longer integers; as infinity they are refused like any huge number."""


def resolve(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return _number(text) if text[0] in _NUMERIC else text


def integer(text: str) -> int | float:
    """A decimal integer; infinity where it has thousands of digits."""
    return int(text) if len(text) <= _MAX_DIGITS else float("inf")


def _number(text: str) -> int | float | str:
    if _INTEGER.fullmatch(text):
        return integer(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
