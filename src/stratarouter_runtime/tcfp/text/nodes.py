"""The nodes of a document, each with its place.

The model is JSON's: null, booleans, numbers, strings, lists, and mappings with string
keys. Must never know which notation a node was written in, or what it means.
"""

from __future__ import annotations

from collections.abc import Mapping as Places
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from stratarouter_runtime.tcfp.diagnostics import Diagnostic
from stratarouter_runtime.tcfp.ir import Jump, Where

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.diagnostics import Diagnostics

MAX_DEPTH: Final = 64
"""How deeply mappings and lists may nest."""


class Scalar(Struct, frozen=True, gc=False):
    """A value without parts.

    `data` is what it means, `text` what is written (without quotes, escapes resolved);
    `plain` says that it was written without quotes. `line` and `column` are where the
    first character of `text` stands, `at` where the node begins: one before, if quoted.
    `jumps` are where an expression goes on elsewhere than in the next column.
    """

    data: bool | int | float | str | None
    text: str
    plain: bool
    line: int
    column: int
    at: Where
    jumps: tuple[Jump, ...] = ()


class Entry(Struct, frozen=True, gc=False):
    """A key, the place of the key, and its value. Keys are text, whatever they look like."""

    key: str
    at: Where
    value: Node


class Mapping(Struct, frozen=True, gc=False):
    """Entries in written order; each key once."""

    entries: tuple[Entry, ...]
    at: Where


class Sequence(Struct, frozen=True, gc=False):
    """Nodes in written order."""

    items: tuple[Node, ...]
    at: Where


class Broken(Struct, frozen=True, gc=False):
    """A node that a diagnostic already speaks of: readers pass over it without another word."""

    at: Where


Node: TypeAlias = Scalar | Mapping | Sequence | Broken


class Document(Struct, frozen=True):
    """What was read. `root` is None where the text could not be read to its end.

    `places` has the place of every node by its JSON Pointer.
    """

    root: Node | None
    diagnostics: tuple[Diagnostic, ...] = ()
    places: Places[str, Where] = {}


class Unreadable(Exception):
    """Reading cannot go on; the diagnostic that says why is already noted."""


class Builder:
    """What both notations share: places, keys, depth, and the diagnostics of these."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.places: dict[str, Where] = {}

    def place(self, pointer: str, line: int, column: int) -> Where:
        """The place of a node, remembered under its pointer (the first one, of duplicates)."""
        at = Where(pointer, line, column)
        self.places.setdefault(pointer, at)
        return at

    def check_depth(self, depth: int, at: Where) -> None:
        """Refuse what nests too deeply: it cannot be read on."""
        if depth > MAX_DEPTH:
            self.diagnostics.add(
                "E107", at, f"nested deeper than {MAX_DEPTH} levels", "name inner parts as types or flows"
            )
            raise Unreadable

    def mapping(self, entries: list[Entry], at: Where) -> Mapping:
        """The mapping of these entries; of a key written twice the first counts."""
        seen: dict[str, Entry] = {}
        for entry in entries:
            first = seen.setdefault(entry.key, entry)
            if first is not entry:
                self.diagnostics.add(
                    "E109",
                    entry.at,
                    f"the key '{entry.key}' is written twice",
                    f"it stands in line {first.at.line} already: remove or rename one",
                )
        return Mapping(tuple(seen.values()), at)


def child(pointer: str, token: str | int) -> str:
    """The JSON Pointer of a part: escapes the token (RFC 6901)."""
    if isinstance(token, str) and ("~" in token or "/" in token):
        token = token.replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{token}"
