"""The input of a flow from the command line: `k=v`, `@file`, `-` for standard input.

What a `v` means is decided by the type the flow declares for `k`, so that text never has
to be quoted and a number never arrives as text. Must never know: flows, or where the value goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from stratarouter_runtime.cli.arguments import STDIN
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.projection import checker
from stratarouter_runtime.tcfp.scalars import Misfit
from stratarouter_runtime.tcfp.types import RecordType, Type

LARGEST: Final = 16 * 2**20
"""Bytes of input that are read; a flow's large values belong in files it is given by reference."""


def gather(given: Iterable[str], declared: RecordType, stdin: Callable[[], bytes]) -> dict[str, Any]:
    """One record from all `--input`s in order; a later field replaces an earlier one.

    `declared` is the flow's input. The result is not yet checked against it. Raises
    `InvalidInput` for what cannot be read or is no field.
    """
    fields: dict[str, Any] = {}
    for each in given:
        fields |= _one(each, declared, stdin)
    return fields


def _one(given: str, declared: RecordType, stdin: Callable[[], bytes]) -> dict[str, Any]:
    if given == STDIN:
        return _record(stdin(), STDIN)
    if given.startswith("@"):
        return _record(_read(given[1:]), given[1:])
    name, equals, text = given.partition("=")
    if not equals:
        raise InvalidInput(
            f"--input {given}: neither k=v nor @file nor -",
            hint="write --input name=value, or --input @file.json",
        )
    type_ = declared.field(name)
    if type_ is None:
        known = [field for field, _ in declared.fields]
        hint = did_you_mean(name, known) or f"the inputs are {', '.join(known) or 'none'}"
        raise InvalidInput(f"--input {name}: the flow has no such input", pointer=f"/{name}", hint=hint)
    return {name: value(text, type_)}


def value(text: str, type_: Type) -> Any:
    """What `text` stands for: the JSON it is, where that fits the type; else the text itself.

    Where neither fits, the JSON: what is wrong inside it is said more exactly.
    """
    try:
        parsed = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return parsed if _fits(type_, parsed) or not _fits(type_, text) else text


def _fits(type_: Type, value: object) -> bool:
    try:
        checker(type_).project(value)
    except Misfit:
        return False
    return True


def _record(raw: bytes, where: str) -> dict[str, Any]:
    value = _json(raw, where)
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: the input of a flow is a JSON object", hint='write {"name": value, …}')
    return value


def _json(raw: bytes, where: str) -> Any:
    if len(raw) > LARGEST:
        raise InvalidInput(f"{where}: {len(raw)} bytes; at most {LARGEST} are read")
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise InvalidInput(
            f"{where}: not JSON: {error}", hint="check it with: python3 -m json.tool"
        ) from None


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidInput(
            f"{path}: {error.strerror}", hint="a path after @ is relative to where you are"
        ) from None
