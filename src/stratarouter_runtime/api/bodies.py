"""Bytes to requests, and everything that JSON lets pass but this API does not.

Refused are: other media types, broken JSON and UTF-8, NaN, duplicate names, deep nesting,
integers that not every client can hold, unknown fields. Must never know: what a request is for.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from stratarouter_runtime.api.errors import Refused, refused_at
from stratarouter_runtime.api.exchange import Request
from stratarouter_runtime.canonical import MAX_INTEGER, escape
from stratarouter_runtime.tcfp.diagnostics import did_you_mean

T = TypeVar("T", bound=msgspec.Struct)

MAX_DEPTH: Final = 64
"""How deep objects and lists may nest in a body."""

_JSON: Final = "application/json"
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_WHERE: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>\$[^`]*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"^Object (?:contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL)
_PART: Final = re.compile(r"\.([^.\[]+)|\[([^\]]*)\]")


def media_type(request: Request) -> str:
    """The media type of the body, lower case and without parameters; empty where none is given.

    Raises `Refused` for a charset other than UTF-8.
    """
    given = request.header(b"content-type") or ""
    if given == _JSON:
        return given
    kind, _, parameters = given.partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in {"utf-8", "utf8", "us-ascii"}:
            raise Refused(
                "unsupported-media-type", f"the charset {value!r} is not understood", hint="use UTF-8"
            )
    return kind.strip().lower()


async def read_json(request: Request, type_: type[T], *, optional: bool = False) -> T:
    """The body as a record of this type. An empty one is `{}` where it is `optional`."""
    body = await request.body()
    if optional and not body:
        return decode(b"{}", type_)
    kind = media_type(request)
    if kind != _JSON:
        raise Refused(
            "unsupported-media-type",
            f"the body is {kind or 'of no stated type'}, expected is application/json",
            hint="send the header Content-Type: application/json",
        )
    return decode(body, type_)


def decode(body: bytes, type_: type[T]) -> T:
    """JSON -> a record of this type. Raises `Refused` that says where the mistake is."""
    value = _parse(body)
    members = _members(value)
    # Each member has a colon, also one whose name stands twice: with no more of them, none does.
    if body.count(b":") != members and _STRING.sub(b"", body).count(b":") != members:
        _refuse_duplicate(body)
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), type_) from None


def _parse(body: bytes) -> Any:
    if not body:
        raise Refused("malformed-request", "the body is empty", hint="send a JSON object")
    try:
        return msgspec.json.decode(body)
    except msgspec.ValidationError as error:
        raise Refused("malformed-request", f"a number is out of range: {error}") from None
    except msgspec.DecodeError as error:
        hint = "JSON has no NaN, no comments, no trailing commas; strings stand in double quotes"
        raise Refused("malformed-request", f"the body is no JSON: {error}", hint=hint) from None
    except UnicodeDecodeError as error:
        raise Refused("malformed-request", f"the body is no UTF-8: {error.reason}") from None
    except RecursionError:
        raise _too_deep() from None


def _members(value: Any) -> int:
    """How many members all objects in it have; refuses what is too deep, and integers too large."""
    count, depth, level = 0, 0, [value]
    while level:
        depth += 1
        below: list[Any] = []
        for node in level:
            kind = type(node)
            if kind is dict or kind is list:
                if depth > MAX_DEPTH:
                    raise _too_deep()
                if kind is dict:
                    count += len(node)
                below.extend(node.values() if kind is dict else node)
            elif kind is int and not -MAX_INTEGER <= node <= MAX_INTEGER:
                _refuse_integer()
        level = below
    return count


def _refuse_integer() -> NoReturn:
    raise Refused(
        "malformed-request",
        f"an integer is beyond ±{MAX_INTEGER}",
        hint="not every client can hold it exactly: send it as a string",
    )


def _too_deep() -> Refused:
    hint = "flatten the value, or send the inner part as a string"
    return Refused("malformed-request", f"the body nests deeper than {MAX_DEPTH} levels", hint=hint)


def _refuse_duplicate(body: bytes) -> NoReturn:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                hint = "a name may stand once in an object"
                raise Refused(
                    "malformed-request", f"the name {name[:100]!r} stands twice in one object", hint=hint
                )
            seen.add(name)
        return dict(pairs)

    json.loads(body, object_pairs_hook=once)
    raise AssertionError("names were miscounted")


def _invalid(message: str, type_: type[msgspec.Struct]) -> Refused:
    """What the decoder says, with a JSON Pointer, and the nearest known name for an unknown one."""
    found = _WHERE.match(message)
    what, pointer = (found["what"], _pointer(found["path"] or "")) if found else (message, "")
    named = _FIELD.match(what)
    if named is None:
        return refused_at(pointer, "invalid-request", f"{pointer or 'the body'}: {_lower(what)}")
    name = named["name"]
    pointer = f"{pointer}/{escape(name)}"
    if "missing" in what:
        return refused_at(pointer, "invalid-request", f"{pointer} is missing")
    known = _names(type_)
    hint = did_you_mean(name, known) or f"known are: {', '.join(known)}"
    return refused_at(pointer, "invalid-request", f"{pointer} is not known", hint)


def _names(type_: type[msgspec.Struct]) -> tuple[str, ...]:
    """The names of the fields of a record, and of the records directly in it."""
    names: list[str] = []
    for field in msgspec.structs.fields(type_):
        names.append(field.encode_name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            names += _names(field.type)
    return tuple(names)


def _pointer(path: str) -> str:
    """`$.options.seed` -> `/options/seed`; the decoder does not say which item of a list."""
    return "".join(f"/{escape(name or '*')}" for name, _ in _PART.findall(path))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
