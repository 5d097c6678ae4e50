"""JSON (RFC 8259) to nodes with positions. Must never know what a flow is."""

from __future__ import annotations

import re
from bisect import bisect_right
from json import JSONDecodeError, decoder
from typing import TYPE_CHECKING, Final, NoReturn

from stratarouter_runtime.tcfp.ir import Jump, Where
from stratarouter_runtime.tcfp.text.jumps import jumps
from stratarouter_runtime.tcfp.text.nodes import (
    Builder,
    Entry,
    Node,
    Scalar,
    Sequence,
    Unreadable,
    child,
)
from stratarouter_runtime.tcfp.text.scalars import integer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# (text, index after the opening quote, strict) -> (string, index after the closing quote)
_scan_string: Final[Callable[[str, int, bool], tuple[str, int]]] = vars(decoder)["scanstring"]
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD: Final = re.compile(r"[A-Za-z]+")
_WORDS: Final[dict[str, bool | None]] = {"null": None, "true": True, "false": False}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class JsonReader:
    """Reads one JSON document; `read` raises `Unreadable` after the diagnostic of a syntax error."""

    def __init__(self, text: str, builder: Builder) -> None:
        self._text = text
        self._builder = builder
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._next = 0

    def read(self) -> Node:
        """The root of the document."""
        self._skip()
        root = self._node("", 1)
        self._skip()
        if self._next < len(self._text):
            self._refuse("text after the end of the document", "a file holds one JSON value")
        return root

    def _position(self, index: int) -> tuple[int, int]:
        line = bisect_right(self._lines, index)
        return line, index - self._lines[line - 1] + 1

    def _skip(self) -> str:
        """Pass over white space; the character that follows, or the empty string at the end."""
        found = _SPACE.match(self._text, self._next)
        self._next = found.end() if found else self._next
        return self._text[self._next : self._next + 1]

    def _refuse(self, message: str, hint: str = "", index: int | None = None) -> NoReturn:
        line, column = self._position(self._next if index is None else index)
        self._builder.diagnostics.add("E102", Where("", line, column), message, hint)
        raise Unreadable

    def _node(self, pointer: str, depth: int) -> Node:
        start = self._next
        line, column = self._position(start)
        at = self._builder.place(pointer, line, column)
        match self._text[start : start + 1]:
            case "{":
                return self._mapping(at, depth)
            case "[":
                return self._sequence(at, depth)
            case '"':
                text = self._string(at)
                return Scalar(
                    text,
                    text,
                    plain=False,
                    line=line,
                    column=column + 1,
                    at=at,
                    jumps=self._jumps(start, text),
                )
            case _:
                data = self._word_or_number()
                return Scalar(
                    data, self._text[start : self._next], plain=True, line=line, column=column, at=at
                )

    def _jumps(self, start: int, text: str) -> tuple[Jump, ...]:
        """Where an expression with escapes goes on; `start` is the index of its opening quote."""
        written = self._text[start + 1 : self._next - 1]
        if text[:1] != "=" or "\\" not in written:
            return ()
        line, column = self._position(start + 1)
        return jumps(written, text, line, column, '"')

    def _mapping(self, at: Where, depth: int) -> Node:
        self._builder.check_depth(depth, at)
        entries: list[Entry] = []
        for _ in self._parts("}"):
            line, column = self._position(self._next)
            if self._text[self._next : self._next + 1] != '"':
                self._refuse("a key in double quotes is expected here", 'write {"key": value, …}')
            start = Where(at.pointer, line, column)
            key = self._string(start)
            pointer = child(at.pointer, key)
            if self._skip() != ":":
                self._refuse("':' is expected after a key")
            self._next += 1
            self._skip()
            value = self._node(pointer, depth + 1)
            entries.append(Entry(key, Where(pointer, line, column), value))
        return self._builder.mapping(entries, at)

    def _sequence(self, at: Where, depth: int) -> Node:
        self._builder.check_depth(depth, at)
        items = [self._node(child(at.pointer, index), depth + 1) for index in self._parts("]")]
        return Sequence(tuple(items), at)

    def _parts(self, close: str) -> Iterator[int]:
        """Stand at each part of a mapping or list in turn, and then after the closing bracket."""
        self._next += 1
        follows, count = self._skip(), 0
        while follows != close or count:
            yield count
            count += 1
            follows = self._skip()
            if follows == close:
                break
            if follows != ",":
                self._refuse(f"',' or '{close}' is expected here", "separate the parts by commas")
            self._next += 1
            self._skip()
        self._next += 1

    def _string(self, at: Where) -> str:
        try:
            text, self._next = _scan_string(self._text, self._next + 1, True)
        except JSONDecodeError as error:
            self._refuse(f"{error.msg[0].lower()}{error.msg[1:]}".removesuffix(" at"), index=error.pos)
        if _SURROGATE.search(text):
            self._builder.diagnostics.add(
                "E105", at, "half of a surrogate pair", "write the whole character, or both halves"
            )
        return text

    def _word_or_number(self) -> bool | int | float | None:
        found = _NUMBER.match(self._text, self._next)
        if found:
            self._next = found.end()
            whole = found[2] is None and found[3] is None
            return integer(found[0]) if whole else float(found[0])
        word = _WORD.match(self._text, self._next)
        if word and word[0] in _WORDS:
            self._next = word.end()
            return _WORDS[word[0]]
        if self._next >= len(self._text):
            self._refuse("the document ends where a value is expected", "close every bracket")
        hint = "strings stand in double quotes; true, false and null in lower case"
        return self._refuse("a value is expected here", hint)
