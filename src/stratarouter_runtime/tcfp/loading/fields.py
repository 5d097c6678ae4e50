"""Reads the entries of a mapping whose keys the language knows, and says which do not fit.

Every reader returns None after a diagnostic, and where nothing is written; so a caller
goes on with a default, and all mistakes of a document are found at once. Must never
know what the keys mean.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from stratarouter_runtime.canonical import MAX_INTEGER
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.durations import parse_duration
from stratarouter_runtime.tcfp.text import Broken, Entry, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from stratarouter_runtime.tcfp.diagnostics import Diagnostics
    from stratarouter_runtime.tcfp.ir import Where

NOTE: Final = "note"
"""The key that may stand in every mapping, and means nothing."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset({"in", "true", "false", "null"})
_SHOWN: Final = 40


class Range(NamedTuple):
    """Bounds of a number, both included."""

    least: float
    most: float = MAX_INTEGER


COUNT: Final = Range(0)
POSITIVE: Final = Range(1)
AMOUNT: Final = Range(0, math.inf)


class Fields:
    """The entries of one mapping of the language; `what` is what to call it in messages."""

    def __init__(self, node: Mapping, what: str, diagnostics: Diagnostics) -> None:
        self.at: Where = node.at
        self.what = what
        self.diagnostics = diagnostics
        self.entries: dict[str, Entry] = {entry.key: entry for entry in node.entries}
        note = self.entries.get(NOTE)
        if note is not None:
            text_of(note.value, diagnostics)

    def known(self, keys: Collection[str]) -> None:
        """Report every key but these."""
        for entry in self.entries.values():
            if entry.key not in keys and entry.key != NOTE:
                self.unknown(entry, keys)

    def unknown(self, entry: Entry, keys: Iterable[str]) -> None:
        """Report one key; `keys` are those that may stand here."""
        known = sorted(keys)
        hint = did_you_mean(entry.key, known) or f"known here: {', '.join(known)}"
        self.diagnostics.add("E110", entry.at, f"unknown key '{_cut(entry.key)}' in {self.what}", hint)

    def node(self, key: str) -> Node | None:
        """The value of a key."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value

    def need(self, key: str, hint: str = "") -> Node | None:
        """The value of a key that must be there."""
        entry = self.entries.get(key)
        if entry is None:
            self.diagnostics.add("E111", self.at, f"{self.what} lacks '{key}:'", hint)
            return None
        return entry.value

    def text(self, key: str) -> str | None:
        """A string."""
        node = self.node(key)
        return None if node is None else text_of(node, self.diagnostics)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of strings."""
        items = self.items(key)
        if items is None:
            return None
        found = (text_of(item, self.diagnostics) for item in items)
        return tuple(text for text in found if text is not None)

    def items(self, key: str) -> tuple[Node, ...] | None:
        """The nodes of a list."""
        node = self.node(key)
        return None if node is None else items_of(node, self.diagnostics)

    def mapping(self, key: str) -> Mapping | None:
        """A mapping."""
        node = self.node(key)
        return None if node is None else mapping_of(node, self.diagnostics)

    def name(self, key: str) -> str | None:
        """A name to bind: a word that expressions can use."""
        node = self.node(key)
        return None if node is None else name_of(node, self.diagnostics)

    def word(self, key: str, words: Collection[str]) -> str | None:
        """One of some words."""
        node = self.node(key)
        text = None if node is None else text_of(node, self.diagnostics)
        if node is None or text is None or text in words:
            return text
        hint = did_you_mean(text, words) or f"write {' or '.join(words)}"
        self.diagnostics.add("E134", node.at, f"'{key}' cannot be '{_cut(text)}'", hint)
        return None

    def flag(self, key: str) -> bool:
        """True or false; false where nothing is written."""
        node = self.node(key)
        if node is None:
            return False
        if isinstance(node, Scalar) and isinstance(node.data, bool):
            return node.data
        wrong(node, "true or false", self.diagnostics)
        return False

    def integer(self, key: str, bounds: Range) -> int | None:
        """A whole number within bounds."""
        node = self.node(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.data, int) and not isinstance(node.data, bool):
            return node.data if self._within(node, node.data, bounds) else None
        wrong(node, "a whole number", self.diagnostics)
        return None

    def number(self, key: str, bounds: Range) -> float | None:
        """A number within bounds."""
        node = self.node(key)
        if node is None:
            return None
        if (
            isinstance(node, Scalar)
            and isinstance(node.data, int | float)
            and not isinstance(node.data, bool)
        ):
            return float(node.data) if self._within(node, node.data, bounds) else None
        wrong(node, "a number", self.diagnostics)
        return None

    def duration(self, key: str, *, least: int = 0) -> int | None:
        """Microseconds of a duration such as `1h30m`, at least `least`."""
        node = self.node(key)
        return None if node is None else duration_of(node, self.diagnostics, least=least)

    def _within(self, node: Scalar, number: float, bounds: Range) -> bool:
        if bounds.least <= number <= bounds.most and number < math.inf:
            return True
        most = f" and at most {bounds.most:.16g}" if bounds.most < math.inf else ""
        message = f"{_cut(node.text)} is out of range"
        self.diagnostics.add("E131", node.at, message, f"write a number of at least {bounds.least:g}{most}")
        return False


def open_fields(
    node: Node | None, what: str, keys: Collection[str], diagnostics: Diagnostics
) -> Fields | None:
    """The fields of a node that must be a mapping with these keys."""
    mapping = None if node is None else mapping_of(node, diagnostics)
    if mapping is None:
        return None
    fields = Fields(mapping, what, diagnostics)
    fields.known(keys)
    return fields


def text_of(node: Node, diagnostics: Diagnostics) -> str | None:
    """The string of a node."""
    if isinstance(node, Scalar) and isinstance(node.data, str):
        return node.data
    quote = isinstance(node, Scalar) and node.text
    wrong(
        node,
        "text",
        diagnostics,
        f'quote it: "{_cut(node.text)}"' if quote and isinstance(node, Scalar) else "",
    )
    return None


def name_of(node: Node, diagnostics: Diagnostics) -> str | None:
    """The string of a node that binds a name."""
    text = text_of(node, diagnostics)
    return None if text is None else check_name(text, node.at, diagnostics)


def check_name(text: str, at: Where, diagnostics: Diagnostics) -> str | None:
    """The text, if expressions can use it as a name."""
    if _NAME.fullmatch(text) and text not in _RESERVED:
        return text
    why = "is a word of the expression language" if text in _RESERVED else "is no name"
    hint = "use letters, digits and _, not starting with a digit"
    diagnostics.add("E133", at, f"'{_cut(text)}' {why}", "choose another" if text in _RESERVED else hint)
    return None


def items_of(node: Node, diagnostics: Diagnostics) -> tuple[Node, ...] | None:
    """The nodes of a node that must be a list."""
    if isinstance(node, Sequence):
        return node.items
    wrong(node, "a list", diagnostics, "write [a, b], or each item in its own line after '- '")
    return None


def mapping_of(node: Node, diagnostics: Diagnostics) -> Mapping | None:
    """The node, if it is a mapping."""
    if isinstance(node, Mapping):
        return node
    wrong(node, "a mapping", diagnostics, "write key: value")
    return None


def duration_of(node: Node, diagnostics: Diagnostics, *, least: int = 0) -> int | None:
    """The microseconds of a node that writes a duration, at least `least`."""
    if not isinstance(node, Scalar):
        wrong(node, "a duration", diagnostics, "write e.g. 200ms, 60s, 10m, 1h30m, 2d")
        return None
    found = parse_duration(node.data) if isinstance(node.data, str) else None
    if found is not None and found >= least:
        return found
    whole = isinstance(node.data, int) and not isinstance(node.data, bool)
    hint = f"add the unit: {_cut(node.text)}s" if whole else "write e.g. 200ms, 60s, 10m, 1h30m, 2d"
    if found is not None:
        diagnostics.add("E130", node.at, f"{_cut(node.text)} is too short", "write more than zero")
    else:
        diagnostics.add("E130", node.at, f"'{_cut(node.text)}' is no duration", hint)
    return None


def wrong(node: Node, wanted: str, diagnostics: Diagnostics, hint: str = "") -> None:
    """Report a node of the wrong kind, unless it has been reported."""
    if not isinstance(node, Broken):
        diagnostics.add("E112", node.at, f"{wanted} is expected here, not {_describe(node)}", hint)


def _describe(node: Node) -> str:
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(data=str()):
            return f"the text '{_cut(node.text)}'"
        case Scalar(data=None):
            return "null"
        case Scalar():
            return _cut(node.text)
        case Broken():
            return "nothing"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
