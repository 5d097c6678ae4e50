"""The functions on strings and the conversions between scalars, as CEL has them.

Positions and sizes count code points; upper and lower case are those of ASCII only.
Must never know types or syntax.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Final

import re2

from stratarouter_runtime.tcfp.expressions.library import (
    MAX_SIZE,
    Budget,
    ExpressionFailed,
    OutOfBounds,
    charge,
    concat,
)

_UPPER: Final = {ord("a") + i: ord("A") + i for i in range(26)}
_LOWER: Final = {ord("A") + i: ord("a") + i for i in range(26)}
_SPACE: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_INT: Final = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT: Final = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)


def lower_ascii(text: str) -> str:
    """A to Z in lower case, all else as it is."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def upper_ascii(text: str) -> str:
    """A to Z in upper case, all else as it is."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def trim(text: str) -> str:
    """Without white space (of Unicode) at both ends."""
    return text.strip(_SPACE)


def split(budget: Budget, text: str, separator: str, limit: int = -1) -> list[str]:
    """The parts between separators, at most `limit` (below zero: all); an empty one splits characters."""
    return charge(budget, _parts(text, separator, limit))


def _parts(text: str, separator: str, limit: int) -> list[str]:
    if limit == 0:
        return []
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if limit < 0 or limit >= len(text):
        return list(text)
    return [*text[: limit - 1], text[limit - 1 :]]


def replace(text: str, old: str, new: str, limit: int = -1) -> str:
    """With the first `limit` (below zero: all) occurrences of `old` replaced."""
    if len(new) > len(old):
        found = text.count(old)
        times = found if limit < 0 else min(found, limit)
        if len(text) + times * (len(new) - len(old)) > MAX_SIZE:
            raise OutOfBounds(f"a string larger than {MAX_SIZE} bytes")
    return concat(text.replace(old, new, max(limit, -1)))


def substring(text: str, start: int, end: int | None = None) -> str:
    """The characters from `start` up to but not with `end`."""
    stop = len(text) if end is None else end
    if 0 <= start <= stop <= len(text):
        return text[start:stop]
    raise ExpressionFailed(f"no substring from {start} to {stop} in {len(text)} characters")


def join(texts: list[str], separator: str = "") -> str:
    """The strings of a list, with `separator` between them."""
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_SIZE:
        raise OutOfBounds(f"a string larger than {MAX_SIZE} bytes")
    return concat(separator.join(texts))


@lru_cache(maxsize=1024)
def pattern(source: str) -> Any:
    """The compiled pattern of RE2, which takes time linear in the text; raises `ValueError`."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(source, options)
    except re2.error as problem:
        raise ValueError(_text(problem.args[0])) from problem


def _text(detail: object) -> str:
    return detail.decode() if isinstance(detail, bytes) else str(detail)


def matches(text: str, compiled: Any) -> bool:
    """Whether the pattern is found in the text."""
    return compiled.search(text) is not None


# Conversions.


def to_int(value: float | str) -> int:
    """`int()`: of a float, cut towards zero; of a string, decimal digits with a sign."""
    if isinstance(value, str):
        if _INT.fullmatch(value) and -(2**63) <= int(value) < 2**63:
            return int(value)
        raise ExpressionFailed(f"{value[:40]!r} is not a 64-bit int")
    if isinstance(value, int):
        return value
    if -(2.0**63) < value < 2.0**63:
        return int(value)
    raise ExpressionFailed(f"{to_string(value)} does not fit an int")


def to_float(value: float | str) -> float:
    """`double()`: of an int, the nearest; of a string, decimal notation."""
    if isinstance(value, str):
        number = float(value) if _FLOAT.fullmatch(value) else None
        if number is None or (math.isinf(number) and "n" not in value.lower()):
            raise ExpressionFailed(f"{value[:40]!r} is not a float")
        return number
    return float(value)


def to_string(value: bool | float | str | bytes) -> str:  # noqa: FBT001 - a value, not a switch
    """`string()`: the form a literal has; floats as JSON (RFC 8785) writes them, bytes as UTF-8."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _float_text(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise ExpressionFailed("the bytes are not UTF-8") from None


def _float_text(value: float) -> str:
    """ECMAScript's Number::toString, except that zero keeps its sign."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0")
    digits, exponent = text.split("e")
    power = int(exponent)
    if 0 <= power < 21:
        return str(int(value))
    if power in (-5, -6):
        sign, bare = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
        return f"{sign}0.{'0' * (-power - 1)}{bare.replace('.', '')}"
    return f"{digits}e{'+' if power > 0 else '-'}{abs(power)}"
