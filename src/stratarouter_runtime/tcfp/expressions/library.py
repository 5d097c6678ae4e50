"""What compiled expressions call: CEL's arithmetic, equality and control, within bounds.

Values are Python's own; a bool is never a number here, and ints are 64 bits. Where an
operation has no value, `ExpressionFailed` says why. Must never know types or syntax:
whoever calls has proven that the operands are of the right kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

Budget: TypeAlias = list[int]
"""One number: how many elements may still be visited."""

Charged = TypeVar("Charged", list[Any], dict[str, Any])

MAX_VISITS: Final = 100_000
MAX_SIZE: Final = 1_048_576
READ_SIZE: Final = 1_024
"""Characters, or octets, that count as one visit where texts are worked on again and again."""
_INT_MAX: Final = 2**63 - 1
_INT_MIN: Final = -(2**63)


class ExpressionFailed(Exception):
    """An expression has no value: the step fails with `expression`. The message says why."""


class OutOfBounds(ExpressionFailed):
    """An expression did too much. No operator absorbs this, so the bound is a bound."""


def unreachable(*_: object) -> NoReturn:
    """Stands where a value would be needed that no list can hold."""
    raise ExpressionFailed("an empty list has no elements")


# Bounds.


def charge(budget: Budget, items: Charged) -> Charged:
    """`items`, paid for."""
    budget[0] -= len(items)
    if budget[0] < 0:
        raise OutOfBounds(f"visits more than {MAX_VISITS} elements")
    return items


def read(budget: Budget, value: Any) -> Any:
    """`value`; if it is a long text, its length is paid for: whoever calls goes over all of it."""
    if isinstance(value, str | bytes) and len(value) >= READ_SIZE:
        budget[0] -= len(value) // READ_SIZE
        if budget[0] < 0:
            raise OutOfBounds(f"visits more than {MAX_VISITS} elements")
    return value


def keys(budget: Budget, entries: dict[str, Any]) -> list[str]:
    """The keys of a map in order, paid for."""
    return charge(budget, sorted(entries))


def bounded(value: Any) -> Any:
    """`value`, if it is no larger than a result may be."""
    if _measure(value, MAX_SIZE) < 0:
        raise OutOfBounds(f"the result is larger than {MAX_SIZE} bytes")
    return value


def _measure(value: Any, room: int) -> int:
    """What is left of `room` (bytes) after `value`; stops soon after it is below zero."""
    if isinstance(value, str):
        return room - utf8_size(value) - 2
    if isinstance(value, list):
        for item in value:
            room = _measure(item, room)
            if room < 0:
                break
        return room - 2
    if isinstance(value, dict):
        for name, item in value.items():
            room = _measure(item, room - len(name))
            if room < 0:
                break
        return room - 2
    return room - (len(value) if isinstance(value, bytes) else 8)


def utf8_size(text: str) -> int:
    """The length of `text` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def concat(*texts: str) -> str:
    """The strings, one after the other."""
    text = "".join(texts)
    if len(text) * 4 > MAX_SIZE and utf8_size(text) > MAX_SIZE:
        raise OutOfBounds(f"a string larger than {MAX_SIZE} bytes")
    return text


def concat_bytes(left: bytes, right: bytes) -> bytes:
    """The octets of both."""
    if len(left) + len(right) > MAX_SIZE:
        raise OutOfBounds(f"bytes larger than {MAX_SIZE}")
    return left + right


# Arithmetic.


def _int64(value: int) -> int:
    if _INT_MIN <= value <= _INT_MAX:
        return value
    raise ExpressionFailed("int overflow: the result does not fit 64 bits")


def add_int(left: int, right: int) -> int:
    """The sum."""
    value = left + right
    return value if _INT_MIN <= value <= _INT_MAX else _int64(value)


def sub_int(left: int, right: int) -> int:
    """The difference."""
    value = left - right
    return value if _INT_MIN <= value <= _INT_MAX else _int64(value)


def mul_int(left: int, right: int) -> int:
    """The product."""
    value = left * right
    return value if _INT_MIN <= value <= _INT_MAX else _int64(value)


def div_int(left: int, right: int) -> int:
    """The quotient, cut towards zero."""
    if right == 0:
        raise ExpressionFailed("division by zero")
    value = abs(left) // abs(right)
    return _int64(value if (left < 0) == (right < 0) else -value)


def mod_int(left: int, right: int) -> int:
    """What division leaves; it has the sign of `left`."""
    if right == 0:
        raise ExpressionFailed("modulo by zero")
    value = abs(left) % abs(right)
    return -value if left < 0 else value


def neg_int(value: int) -> int:
    """The negation."""
    return _int64(-value)


def neg_float(value: float) -> float:
    """The negation; of zero, the other zero."""
    return -float(value)


def div_float(left: float, right: float) -> float:
    """The quotient of IEEE 754: by zero it is infinite, or not a number."""
    if right:
        return left / right
    if left == 0 or left != left:  # noqa: PLR0124 - only not-a-number differs from itself
        return float("nan")
    negative = (left < 0) != (str(float(right))[0] == "-")
    return float("-inf") if negative else float("inf")


# Equality and access.


def equal(budget: Budget, left: Any, right: Any) -> bool:
    """Equality of CEL, at every depth: bools are no numbers, and not-a-number equals nothing."""
    if isinstance(left, list):
        if not isinstance(right, list) or len(left) != len(right):
            return False
        charge(budget, left)
        return all(equal(budget, a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict):
        if not isinstance(right, dict) or left.keys() != right.keys():
            return False
        charge(budget, left)
        return all(equal(budget, left[name], right[name]) for name in left)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(read(budget, left) == right)


def member(budget: Budget, item: Any, items: list[Any]) -> bool:
    """Whether one of `items` equals `item`."""
    return any(equal(budget, item, other) for other in charge(budget, items))


def plain_member(item: Any, items: list[Any]) -> bool:
    """The same, where Python's equality is CEL's."""
    return item in items


def concat_lists(left: list[Any], right: list[Any]) -> list[Any]:
    """The elements of both."""
    return left + right


def at(items: list[Any], index: int) -> Any:
    """The element at `index`, counted from 0."""
    if 0 <= index < len(items):
        return items[index]
    raise ExpressionFailed(f"no element {index} in a list of {len(items)}")


def get(entries: dict[str, Any], key: str) -> Any:
    """The value of `key`."""
    try:
        return entries[key]
    except KeyError:
        raise ExpressionFailed(f"no key {key!r}") from None


# Control: an operand that fails is ignored where another decides.


def both(left: Callable[[], bool], right: Callable[[], bool]) -> bool:
    """`left && right`."""
    try:
        return left() and right()
    except OutOfBounds:
        raise
    except ExpressionFailed:
        if not right():
            return False
        raise


def either(left: Callable[[], bool], right: Callable[[], bool]) -> bool:
    """`left || right`."""
    return not both(lambda: not left(), lambda: not right())


def every(items: Iterable[Any], test: Callable[[Any], bool]) -> bool:
    """Whether `test` holds for all: false if it fails to hold for one, whatever others raise."""
    failed: ExpressionFailed | None = None
    for item in items:
        try:
            if not test(item):
                return False
        except OutOfBounds:
            raise
        except ExpressionFailed as problem:
            failed = failed or problem
    if failed is not None:
        raise failed
    return True


def some(items: Iterable[Any], test: Callable[[Any], bool]) -> bool:
    """Whether `test` holds for one: true if it does, whatever others raise."""
    return not every(items, lambda item: not test(item))


def or_value(value: Any, default: Callable[[], Any]) -> Any:
    """`value`, or `default()` for null."""
    return default() if value is None else value
