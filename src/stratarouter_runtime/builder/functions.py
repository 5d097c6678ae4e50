"""The functions of the expression language, typed for Python: `fn.filter(docs, lambda d: d.score > 0.5)`.

Proxies have them as methods too; these are for code that a type checker reads. `run` is the
execution: its id, seed and start. Must never know steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from stratarouter_runtime.builder.proxies import CHOICE, OR, RELATION, Proxy, apply, binary, text
from stratarouter_runtime.tcfp.types import STRING, TIME
from stratarouter_runtime.tcfp.types import record as record_type

_T = TypeVar("_T")
_R = TypeVar("_R")


class Run:
    """What an execution knows of itself. Only a proxy of it exists."""

    id: str
    seed: str
    started: datetime


run: Final = cast("Run", Proxy("run", type_=record_type({"id": STRING, "seed": STRING, "started": TIME})))
"""The execution: the only source of time and randomness in a flow."""


def choose(test: object, then: _T, otherwise: _R) -> _T | _R:
    """`test ? then : otherwise`."""
    source = f"{text(test, OR)} ? {text(then, OR)} : {text(otherwise, CHOICE)}"
    return cast("_T | _R", Proxy(source, CHOICE))


def present(value: object) -> bool:
    """`value != null`."""
    return cast("bool", binary(value, "!=", None, RELATION))


def absent(value: object) -> bool:
    """`value == null`."""
    return cast("bool", binary(value, "==", None, RELATION))


def or_value(value: _T | None, default: _T) -> _T:
    """The value, or the default where it is null."""
    return cast("_T", apply("orValue", value, default))


def contains(values: object, item: object) -> bool:
    """`item in values`, for the items of a list or the keys of a map."""
    return cast("bool", binary(item, "in", values, RELATION))


def size(value: Sequence[Any] | Mapping[str, Any]) -> int:
    """The number of characters, items or entries."""
    return cast("int", _global("size", value))


def string(value: object) -> str:
    """The value as text."""
    return cast("str", _global("string", value))


def integer(value: object) -> int:
    """The value as int."""
    return cast("int", _global("int", value))


def double(value: object) -> float:
    """The value as float."""
    return cast("float", _global("double", value))


def map(values: Sequence[_T], function: Callable[[_T], _R]) -> list[_R]:  # noqa: A001 - the language's own word
    """The function's result for every item."""
    return cast("list[_R]", apply("map", values, function))


def filter(values: Sequence[_T], test: Callable[[_T], object]) -> list[_T]:  # noqa: A001 - the language's own word
    """The items for which the test holds."""
    return cast("list[_T]", apply("filter", values, test))


def all(values: Sequence[_T], test: Callable[[_T], object]) -> bool:  # noqa: A001 - the language's own word
    """Whether the test holds for every item."""
    return cast("bool", apply("all", values, test))


def exists(values: Sequence[_T], test: Callable[[_T], object]) -> bool:
    """Whether the test holds for at least one item."""
    return cast("bool", apply("exists", values, test))


def exists_one(values: Sequence[_T], test: Callable[[_T], object]) -> bool:
    """Whether the test holds for exactly one item."""
    return cast("bool", apply("exists_one", values, test))


def join(values: Sequence[str], separator: str = "") -> str:
    """The texts in order, with the separator between them."""
    return cast("str", apply("join", values, *([separator] if separator else [])))


def flatten(values: Sequence[Sequence[_T]]) -> list[_T]:
    """The items of the lists in a list."""
    return cast("list[_T]", apply("flatten", values))


def distinct(values: Sequence[_T]) -> list[_T]:
    """Every item once, where it first stands."""
    return cast("list[_T]", apply("distinct", values))


def matches(value: str, pattern: str) -> bool:
    """Whether the pattern, a constant, is found in the text."""
    return cast("bool", apply("matches", value, pattern))


def _global(name: str, value: object) -> Proxy:
    return Proxy(f"{name}({text(value)})")
