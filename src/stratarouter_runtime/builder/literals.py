"""Python constants as TCFP-E source.

Must never know proxies: what is inside of lists and records is written by the caller's function.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from stratarouter_runtime.builder.conversion import encode, names_of
from stratarouter_runtime.errors import InvalidFlow

is_name: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch


def source(value: Any, write: Callable[[Any], str]) -> str:  # noqa: C901 - one case a kind of value
    """The literal of a constant; `write` writes the parts of lists and records."""
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case Enum():
            return source(value.value, write)
        case int():
            return str(int(value))
        case float():
            return repr(finite(value))
        case str():
            return json.dumps(value, ensure_ascii=False)
        case bytes():
            return 'b"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'
        case list() | tuple():
            return f"[{', '.join(write(item) for item in value)}]"
        case dict():
            return "{" + ", ".join(f"{_key(key)}: {write(item)}" for key, item in value.items()) + "}"
        case _:
            return write(plain(value))


def plain(value: Any) -> Any:
    """An object of a record class as a dict, a time or duration as text; raises `InvalidFlow` otherwise.

    A field that is None by default is left out.
    """
    names = names_of(value)
    if names is not None:
        return {name: part for name in names if not _by_default(value, name, part := getattr(value, name))}
    try:
        written = encode(value)
    except ValueError as refused:
        raise InvalidFlow(f"{value!r} is no value: {refused}") from None
    if written is value:
        raise InvalidFlow(
            f"a {type(value).__name__} is no value of a flow",
            hint="use null, booleans, numbers, strings, lists, dicts and records of these",
        )
    return written


def finite(value: float) -> float:
    """The number; raises `InvalidFlow` for infinities and NaN."""
    if not math.isfinite(value):
        raise InvalidFlow(f"{value} is no number that a flow can hold", hint="use null")
    return float(value)


def _by_default(value: Any, name: str, part: Any) -> bool:
    if part is not None:
        return False
    declared = getattr(type(value), "__dataclass_fields__", None) or type(value).model_fields
    return name in declared and declared[name].default is None


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidFlow(f"the key {key!r} is no string", hint="the fields of a record have names")
    return json.dumps(key, ensure_ascii=False)
