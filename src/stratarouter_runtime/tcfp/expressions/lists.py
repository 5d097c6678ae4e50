"""The functions on lists. Whoever calls has charged the list to the budget.

Must never know types or syntax.
"""

from __future__ import annotations

from typing import Any

from stratarouter_runtime.tcfp.expressions.library import (
    Budget,
    ExpressionFailed,
    add_int,
    charge,
)


def sum_ints(items: list[int]) -> int:
    """The sum; every partial sum fits 64 bits, or it fails."""
    total = 0
    for item in items:
        total = add_int(total, item)
    return total


def sum_floats(items: list[float]) -> float:
    """The sum from left to right: the same on every Python, whose own `sum` is not."""
    total = 0.0
    for item in items:
        total += item
    return total


def least(items: list[Any]) -> Any:
    """The smallest element."""
    return min(_ordered(items, "min"))


def greatest(items: list[Any]) -> Any:
    """The largest element."""
    return max(_ordered(items, "max"))


def _ordered(items: list[Any], name: str) -> list[Any]:
    if not items:
        raise ExpressionFailed(f"{name}() of an empty list")
    if any(item != item for item in items):  # noqa: PLR0124 - only not-a-number differs from itself
        raise ExpressionFailed(f"{name}() of a list with not-a-number: it has no order")
    return items


def sort(items: list[Any]) -> list[Any]:
    """The elements in ascending order; equal ones keep theirs."""
    return sorted(_ordered(items, "sort")) if items else items


def distinct(budget: Budget, items: list[Any]) -> list[Any]:
    """The first of every group of equal elements, in the order of the list."""
    first: dict[Any, Any] = {}
    for item in charge(budget, items):
        first.setdefault(_key(budget, item), item)
    return list(first.values())


def _key(budget: Budget, value: Any) -> Any:
    """Hashable, and equal for equal values only; not-a-number is its own key each time."""
    match value:
        case bool():
            return (bool, value)
        case list():
            return (list, tuple(_key(budget, item) for item in charge(budget, value)))
        case dict():
            charge(budget, value)
            return (dict, frozenset((name, _key(budget, item)) for name, item in value.items()))
        case float() if value != value:  # noqa: PLR0124 - only not-a-number differs from itself
            return object()
        case _:
            return value


def flatten(budget: Budget, items: list[list[Any]]) -> list[Any]:
    """The elements of the lists of a list, one level down."""
    return [item for inner in charge(budget, items) for item in charge(budget, inner)]


def slice_(items: list[Any], start: int, end: int | None = None) -> list[Any]:
    """The elements from `start` up to but not with `end`."""
    stop = len(items) if end is None else end
    if 0 <= start <= stop <= len(items):
        return items[start:stop]
    raise ExpressionFailed(f"no slice from {start} to {stop} in a list of {len(items)}")
