"""Projections of the types without parts, and of `json`: check a value, bring it to normal form.

Each takes any value and returns the value of the type, or raises `Misfit`. Must never know:
types as records, or why a value crosses a boundary.
"""

from __future__ import annotations

import re
from base64 import b64decode
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from typing_extensions import override

from stratarouter_runtime.canonical import MAX_INTEGER, escape
from stratarouter_runtime.tcfp.times import canonical_duration, canonical_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stratarouter_runtime.tcfp.types import PrimitiveName

Project: TypeAlias = "Callable[[Any], Any]"

MAX_DEPTH: Final = 64
"""How deep the lists and objects of a `json` value may nest."""

_KINDS: Final = (
    (type(None), "null"),
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "string"),
    (bytes, "bytes"),
    (dict, "an object"),
    ((list, tuple), "list"),
)
_WORDS: Final = frozenset({bool, type(None)})
_is_hash: Final = re.compile(r"[0-9a-f]{64}").fullmatch


class Misfit(Exception):
    """A value does not fit its type: where (a JSON Pointer), what is wrong, what to do."""

    def __init__(self, message: str, *, pointer: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer
        self.message = message
        self.hint = hint

    @override
    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message

    def below(self, token: str | int) -> None:
        """Note that the value stands in a container, under this key or index."""
        part = escape(token).encode(errors="backslashreplace").decode()
        self.pointer = f"/{part}{self.pointer}"


def kind_of(value: object) -> str:
    """What a value is, in the language's words, for messages; shows nothing of its content."""
    for class_, name in _KINDS:
        if isinstance(value, class_):
            return name
    return f"a Python {type(value).__name__}"


def expected(what: str, value: object) -> Misfit:
    """The misfit of a value of another kind."""
    return Misfit(f"expected {what}, found {kind_of(value)}")


def _bool(value: Any) -> Any:
    if value is True or value is False:
        return value
    raise expected("bool", value)


def _int(value: Any) -> Any:
    if type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        misfit = expected("int", value)
        if isinstance(value, float) and value.is_integer():
            misfit.hint = "an int is written without a fraction: 1, not 1.0"
        raise misfit
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise Misfit("the int is beyond ±(2^53-1)", hint="carry larger numbers as string")
    return int(value)


def _float(value: Any) -> Any:
    if type(value) is float and isfinite(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise expected("float", value)
    try:
        number = float(value)
    except OverflowError:
        raise Misfit("the number is too large for a float") from None
    if not isfinite(number):
        raise Misfit("a float must be finite", hint="use null for what is not a number")
    return number


def _string(value: Any) -> Any:
    if type(value) is str and value.isascii():
        return value
    if not isinstance(value, str):
        raise expected("string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Misfit("the string holds half of a surrogate pair, which is no character") from None
    return str.__str__(value)


def _bytes(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if not isinstance(value, str):
        raise expected("bytes (base64 text)", value)
    try:
        return b64decode(value, validate=True)
    except ValueError:
        raise Misfit("the text is not base64", hint="bytes travel as base64 text with padding") from None


def _time(value: Any) -> Any:
    return _normal(canonical_time, value, "time")


def _duration(value: Any) -> Any:
    return _normal(canonical_duration, value, "duration")


def _normal(normal: Callable[[str], str], value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise expected(f"{what} (text)", value)
    try:
        return normal(value)
    except ValueError as refused:
        raise Misfit(f"not a {what}: {refused}") from None


def _null(value: Any) -> Any:
    if value is None:
        return None
    raise expected("null", value)


def _never(value: Any) -> Any:
    raise expected("no value at all", value)


def _file_digest(value: Any) -> Any:
    if isinstance(value, str) and _is_hash(value):
        return str.__str__(value)
    raise Misfit("the digest of a file is 64 lower-case hex digits")


def _file_size(value: Any) -> Any:
    size = _int(value)
    if size < 0:
        raise Misfit("the size of a file is not negative")
    return size


def json_value(value: Any) -> Any:
    """Any JSON value, at most `MAX_DEPTH` deep."""
    try:
        return _quick(value, MAX_DEPTH)
    except Misfit:
        # Once more with care: it was unusual, or wrong, and then the place has to be told.
        return _any(value, MAX_DEPTH)


def _quick(value: Any, depth: int) -> Any:
    """What `_any` gives for plain values; raises a bare `Misfit` for anything out of the ordinary."""
    kind = type(value)
    if kind is str and value.isascii():
        return value
    if kind in _WORDS:
        return value
    if kind is int and -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    if kind is float and isfinite(value):
        return value
    if depth and kind is list:
        return [_quick(item, depth - 1) for item in value]
    if depth and kind is dict and all(type(key) is str and key.isascii() for key in value):
        return {key: _quick(value[key], depth - 1) for key in sorted(value)}
    raise Misfit("")


def _any(value: Any, depth: int) -> Any:
    match value:
        case None | True | False:
            return value
        case str():
            return _string(value)
        case int():
            return _number(value)
        case float():
            return _float(value)
        case _ if depth == 0:
            raise Misfit(f"the value nests deeper than {MAX_DEPTH}")
        case dict():
            return entries(value, lambda item: _any(item, depth - 1))
        case list() | tuple():
            return items(value, lambda item: _any(item, depth - 1))
        case _:
            raise expected("a JSON value", value)


def _number(value: int) -> int | float:
    if -MAX_INTEGER <= value <= MAX_INTEGER:
        return int(value)
    number = _float(value)
    if value in (number, _written(number)):
        return float(number)
    raise Misfit("the integer is beyond ±(2^53-1)", hint="carry larger numbers as string")


def _written(number: float) -> int:
    """The integer that canonical JSON writes for a large float: its shortest digits, then zeros.

    RFC 8785 writes neither exponent nor fraction below 1e21, so such a float comes back as an int.
    """
    digits, _, exponent = repr(number).partition("e")
    whole, _, fraction = digits.partition(".")
    return int(whole + fraction) * 10 ** (int(exponent or 0) - len(fraction)) if exponent else int(number)


# Containers.


def items(value: Iterable[Any], project: Project) -> list[Any]:
    """Every item projected; a misfit says at which index."""
    done: list[Any] = []
    try:
        for item in value:
            done.append(project(item))  # noqa: PERF401 - a comprehension could not say which item failed
    except Misfit as misfit:
        misfit.below(len(done))
        raise
    return done


def entries(value: dict[Any, Any], project: Project) -> dict[str, Any]:
    """Every value projected, in key order; a misfit says under which key."""
    for key in value:
        if not isinstance(key, str):
            raise Misfit(f"the keys of an object are strings, found {kind_of(key)}")
    done: dict[str, Any] = {}
    key = ""
    try:
        for key in sorted(value):
            done[_string(key)] = project(value[key])
    except Misfit as misfit:
        misfit.below(key)
        raise
    return done


def fields(value: Any, shape: Iterable[tuple[str, Project, bool]], what: str = "record") -> dict[str, Any]:
    """The fields of `shape` (name, projection, whether null is fine), projected; others are dropped."""
    if type(value) is not dict and not isinstance(value, dict):
        raise expected(what, value)
    done = {}
    name = ""
    try:
        for name, project, nullable in shape:
            item = value.get(name)
            if item is not None:
                done[name] = project(item)
            elif nullable:
                done[name] = None
            elif name in value:
                project(None)
            else:
                raise _missing(name, value)
    except Misfit as misfit:
        misfit.below(name)
        raise
    return done


def _missing(name: str, value: dict[Any, Any]) -> Misfit:
    near = get_close_matches(name, [key for key in value if isinstance(key, str)], n=1)
    return Misfit("the field is missing", hint=f"is '{near[0]}' meant to be '{name}'?" if near else "")


_FILE: Final = (("digest", _file_digest, False), ("media", _string, False), ("size", _file_size, False))


def _file(value: Any) -> Any:
    return fields(value, _FILE, "file ({digest, media, size})")


PRIMITIVES: Final[Mapping[PrimitiveName, Project]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "string": _string,
    "bytes": _bytes,
    "time": _time,
    "duration": _duration,
    "file": _file,
    "json": json_value,
    "null": _null,
    "never": _never,
}
