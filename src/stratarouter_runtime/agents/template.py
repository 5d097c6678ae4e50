"""Texts with the fields of an input in them, written `{{ticket.body}}`.

A template is checked against the input's type when it is declared. A string stands as it is, null
as nothing, everything else as JSON. Must never know: what a text is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.canonical import canonical
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.text import Scalar
from stratarouter_runtime.tcfp.types import NULL, RecordType, Type, UnionType, UnknownType, show

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.diagnostics import Diagnostics

_PLACE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class Template(Struct, frozen=True):
    """`parts` are texts and paths in turn, beginning and ending with a text."""

    source: str
    parts: tuple[str | tuple[str, ...], ...]

    def render(self, value: Mapping[str, Any]) -> str:
        """The text for an input that has been checked against the template's type."""
        return "".join(part if isinstance(part, str) else _shown(_at(value, part)) for part in self.parts)


def read_template(node: Scalar, input_: Type, diagnostics: Diagnostics) -> Template:
    """The template that is written at `node`; every path that leads nowhere is reported at its place."""
    parts: list[str | tuple[str, ...]] = []
    end = 0
    for found in _PLACE.finditer(node.text):
        parts += [node.text[end : found.start()], _path(node, found, input_, diagnostics)]
        end = found.end()
    rest = node.text[end:]
    if "{{" in rest:
        diagnostics.add("E134", _where(node, end + rest.index("{{")), "'{{' is not closed", "write {{name}}")
    return Template(node.text, (*parts, rest))


def _path(node: Scalar, found: re.Match[str], input_: Type, diagnostics: Diagnostics) -> tuple[str, ...]:
    written = found[1].strip()
    at = _where(node, found.start(1) + len(found[1]) - len(found[1].lstrip()))
    if not _PATH.fullmatch(written):
        hint = "write the name of an input, or a path to a field: {{ticket.subject}}"
        diagnostics.add("E134", at, f"'{written}' is no path", hint)
        return ()
    names = tuple(written.split("."))
    type_: Type = input_
    for name in names:
        next_ = _field(type_, name)
        if next_ is None:
            diagnostics.add(
                "E211", at, f"no field '{name}' in {show(type_)}", did_you_mean(name, _names(type_))
            )
            return ()
        type_ = next_
    return names


def _field(type_: Type, name: str) -> Type | None:
    """The type of a field, of any record that the type may be."""
    if isinstance(type_, UnknownType):
        return type_
    if isinstance(type_, UnionType):
        present = [option for option in type_.options if option != NULL]
        return _field(present[0], name) if len(present) == 1 else None
    return type_.field(name) if isinstance(type_, RecordType) else None


def _names(type_: Type) -> list[str]:
    if isinstance(type_, UnionType):
        return [name for option in type_.options for name in _names(option)]
    return [name for name, _ in type_.fields] if isinstance(type_, RecordType) else []


def _where(node: Scalar, offset: int) -> Where:
    """The place of a character of a text; in a block, lines of the text are lines of the document."""
    before = node.text[:offset]
    lines = before.count("\n")
    column = node.column + len(before) - (before.rfind("\n") + 1)
    return replace(node.at, line=node.line + lines, column=column, jumps=())


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical(value).decode()
