"""The input of a flow from the command line: `k=v`, `@file`, `-` for standard input.

What a `v` means is decided by the type the flow declares for `k`, so that text never has
to be quoted and a number never arrives as text. Must never know: flows, or where the value goes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from stratarouter_runtime.canonical import escape
from stratarouter_runtime.cli.arguments import STDIN
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.projection import checker
from stratarouter_runtime.tcfp.relations import nullable
from stratarouter_runtime.tcfp.scalars import Misfit
from stratarouter_runtime.tcfp.types import Primitive, RecordType, Type, show

LARGEST: Final = 16 * 2**20
"""Bytes of input that are read; a flow's large values belong in files it is given by reference."""

_STRUCTURE: Final = ("{", "[")
_OBJECT: Final = 'write {"name": value, …}'
_CHECK: Final = "JSON has no comments and no trailing commas, and strings stand in double quotes"


def gather(given: Iterable[str], declared: RecordType, stdin: Callable[[], bytes]) -> dict[str, Any]:
    """One record from all `--input`s in order; a later field replaces an earlier one.

    `declared` is the flow's input. The result is not yet checked against it. Raises
    `InvalidInput` for what cannot be read or is no field.
    """
    fields: dict[str, Any] = {}
    for each in given:
        fields |= _one(each, declared, stdin)
    return fields


def check_complete(fields: dict[str, Any], declared: RecordType) -> None:
    """Raise `InvalidInput` unless every input that may not be null is given."""
    lacking = [name for name, type_ in declared.fields if name not in fields and not nullable(type_)]
    if lacking:
        raise InvalidInput(
            f"nothing is given for {', '.join(lacking)}",
            pointer=f"/{escape(lacking[0])}",
            hint=" ".join(f"--input {name}={_shape(declared, name)}" for name in lacking),
        )


def _shape(declared: RecordType, name: str) -> str:
    type_ = declared.field(name)
    return show(type_).upper() if isinstance(type_, Primitive) else "JSON"


def _one(given: str, declared: RecordType, stdin: Callable[[], bytes]) -> dict[str, Any]:
    if given == STDIN:
        return _record(check_size(stdin(), STDIN), STDIN, declared)
    if given.startswith("@"):
        return _record(read_bounded(given[1:]), given[1:], declared)
    name, equals, text = given.partition("=")
    if not equals:
        raise InvalidInput(
            f"--input {given}: neither k=v nor @file nor -",
            hint="write --input name=value, or --input @file.json",
        )
    return {name: value(text, _declared(declared, name, "--input"), f"--input {name}")}


def _declared(declared: RecordType, name: str, where: str) -> Type:
    type_ = declared.field(name)
    if type_ is None:
        known = [field for field, _ in declared.fields]
        hint = did_you_mean(name, known) or f"the inputs are {', '.join(known) or 'none'}"
        raise InvalidInput(f"{where}: there is no input {name!r}", pointer=f"/{escape(name)}", hint=hint)
    return type_


def value(text: str, type_: Type, where: str) -> Any:
    """What `text` stands for: the JSON it is, where that fits the type; else the text itself.

    Where neither fits, the JSON: what is wrong inside it is said more exactly. Raises
    `InvalidInput` for what has to be JSON and is none, and for what is no text at all.
    """
    _check_text(text, where)
    try:
        parsed = strict_json(text, where)
    except InvalidInput:
        if text[:1] in _STRUCTURE and not _fits(type_, text):
            raise
        return text
    return parsed if _fits(type_, parsed) or not _fits(type_, text) else text


def _fits(type_: Type, value: object) -> bool:
    try:
        checker(type_).project(value)
    except Misfit:
        return False
    return True


def _record(raw: bytes, where: str, declared: RecordType) -> dict[str, Any]:
    if not raw.strip():
        raise InvalidInput(f"{where} is empty", hint=_OBJECT)
    try:
        value = strict_json(raw.decode("utf-8-sig"), where)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{where}:{line}: not UTF-8", hint="save the file as UTF-8") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: the input of a flow is a JSON object", hint=_OBJECT)
    for name in value:
        _declared(declared, name, where)
    return value


def strict_json(text: str, where: str) -> Any:
    """What JSON stands for, read strictly: no name twice in an object, no NaN, no half characters. Raises `InvalidInput`."""
    _check_text(text, where)
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}:{error.colno}"
        raise InvalidInput(f"{place}: not JSON: {error.msg}", hint=_CHECK) from None
    except UnicodeEncodeError:
        half = "half of a surrogate pair, which is no character"
        raise InvalidInput(f"{where}: a string holds {half}", hint=_CHECK) from None
    except ValueError as error:
        raise InvalidInput(f"{where}: not JSON: {error}", hint=_CHECK) from None
    except RecursionError:
        raise InvalidInput(f"{where}: nested too deeply", hint="flatten the value") from None
    return found


def _check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{where}: the text is no UTF-8", hint="use a terminal set to UTF-8") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise ValueError(f"the name {name!r} stands twice in one object")
        seen[name] = value
    return seen


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def read_bounded(path: str) -> bytes:
    """The bytes of a file. Raises `InvalidInput` where it cannot be read, or is larger than is read."""
    try:
        with Path(path).open("rb") as file:
            return check_size(file.read(LARGEST + 1), path)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}", hint="a path is relative to where you are") from None


def check_size(raw: bytes, where: str) -> bytes:
    """`raw`. Raises `InvalidInput` where that is more than is read."""
    if len(raw) > LARGEST:
        raise InvalidInput(f"{where}: more than {LARGEST} bytes, which is all that is read")
    return raw
