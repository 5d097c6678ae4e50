"""YAML 1.2 to nodes with positions, from the events of libyaml.

Refuses what would make a document mean more than its text shows: anchors, aliases,
tags, merge keys, several documents. Must never know what a flow is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import yaml

from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.tcfp.ir import Jump, Where
from stratarouter_runtime.tcfp.text.jumps import jumps
from stratarouter_runtime.tcfp.text.nodes import (
    Broken,
    Builder,
    Entry,
    Node,
    Scalar,
    Sequence,
    Unreadable,
    child,
)
from stratarouter_runtime.tcfp.text.scalars import resolve
from stratarouter_runtime.tcfp.text.yaml_problems import broken_expression, cut_off, explain

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.text.nodes import Mapping

_BLOCK: Final = frozenset("|>")
_AFTER_KEY: Final = re.compile(r"(?:\s|#[^\n]*)*:")
_QUOTE_IT: Final = "quote the expression"


class YamlReader:
    """Reads one YAML document; `read` raises `Unreadable` after the diagnostic of a syntax error."""

    def __init__(self, text: str, builder: Builder) -> None:
        self._text = text
        self._lines: list[str] | None = None
        self._builder = builder
        self._add = builder.diagnostics.add
        self._event = _parser(text).get_event

    def read(self) -> Node:
        """The root of the document."""
        try:
            return self._document()
        except yaml.YAMLError as error:
            self._refuse(error)

    def _document(self) -> Node:
        self._event()
        event = self._event()
        if not isinstance(event, yaml.DocumentStartEvent):
            self._empty(Where("", 1, 1))
        root = self._node(self._event(), "", 1, flow=False)
        if isinstance(root, Scalar) and root.plain and not root.text:
            self._empty(root.at)
        self._event()
        event = self._event()
        if isinstance(event, yaml.DocumentStartEvent):
            line, column = _start(event)
            self._add(
                "E108", Where("", line, column), "a second document starts here", "a file holds one flow"
            )
        return root

    def _empty(self, at: Where) -> NoReturn:
        self._add("E103", at, "the document is empty", 'it starts with: tcfp: "1.0"')
        raise Unreadable

    def _node(self, event: Any, pointer: str, depth: int, *, flow: bool) -> Node:
        line, column = _start(event)
        at = self._builder.place(pointer, line, column)
        match event:
            case yaml.ScalarEvent():
                self._check_properties(event, at)
                return self._scalar(event, at, flow=flow)
            case yaml.MappingStartEvent():
                self._check_properties(event, at)
                return self._mapping(at, depth, flow=flow or bool(event.flow_style))
            case yaml.SequenceStartEvent():
                self._check_properties(event, at)
                return self._sequence(at, depth, flow=flow or bool(event.flow_style))
            case _:
                self._add(
                    "E116",
                    at,
                    f"aliases are not allowed: *{event.anchor}",
                    "write the value out, or name a type",
                )
                return Broken(at)

    def _check_properties(self, event: Any, at: Where) -> None:
        if event.anchor is not None:
            self._add("E115", at, f"anchors are not allowed: &{event.anchor}", "remove the anchor")
        if event.tag is not None:
            self._add("E117", at, f"tags are not allowed: {event.tag}", "remove the tag: types are declared")

    def _scalar(self, event: Any, at: Where, *, flow: bool) -> Node:
        text: str = event.value
        style: str | None = event.style
        if style in _BLOCK:
            line, column = self._first_of_block(at.line)
            found = self._jumps_of_block(event, line, column)
            return Scalar(text, text, plain=False, line=line, column=column, at=at, jumps=found)
        if style in ("'", '"'):
            found = self._jumps(event)
            return Scalar(text, text, plain=False, line=at.line, column=at.column + 1, at=at, jumps=found)
        if text[:1] == "=" and cut_off(text, self._text, event.end_mark.index, flow=flow):
            self._broken_expression(at)
            return Broken(at)
        data = text if event.tag is not None else resolve(text)
        found = self._jumps(event)
        return Scalar(data, text, plain=True, line=at.line, column=at.column, at=at, jumps=found)

    def _jumps(self, event: Any) -> tuple[Jump, ...]:
        """The jumps of an expression on a line of its key; none of any other text, and none as a rule."""
        text, quote = event.value, event.style or ""
        start, end = event.start_mark, event.end_mark
        if text[:1] != "=" or (
            start.line == end.line and end.index - start.index == len(text) + 2 * len(quote)
        ):
            return ()
        written = self._text[start.index + len(quote) : end.index - len(quote)]
        return jumps(written, text, start.line + 1, start.column + 1 + len(quote), quote)

    def _jumps_of_block(self, event: Any, line: int, column: int) -> tuple[Jump, ...]:
        """The jumps of an expression in a block that begins at `line` and `column`."""
        if event.value[:1] != "=" or self._lines is None:
            return ()
        written = "\n".join(self._lines[line - 1 : event.end_mark.line + 1])
        return jumps(written[column - 1 :], event.value, line, column)

    def _broken_expression(self, at: Where) -> None:
        message = "YAML ends this expression early, at a ': ', a ' #', a comma or a bracket"
        self._add("E104", at, message, _QUOTE_IT)

    def _mapping(self, at: Where, depth: int, *, flow: bool) -> Mapping | Broken:
        self._builder.check_depth(depth, at)
        entries: list[Entry] = []
        torn = False
        while not isinstance(event := self._event(), yaml.MappingEndEvent):
            key = self._key(event, at.pointer, depth)
            pointer = child(at.pointer, key.key)
            value = self._node(self._event(), pointer, depth + 1, flow=flow)
            torn |= flow and isinstance(value, Broken)
            if flow and not torn and self._lacks_colon(key, event, value):
                value = Broken(key.at)
            if not isinstance(key.value, Broken):
                entries.append(Entry(key.key, key.at, value))
        return Broken(at) if torn else self._builder.mapping(entries, at)

    def _sequence(self, at: Where, depth: int, *, flow: bool) -> Sequence | Broken:
        self._builder.check_depth(depth, at)
        items: list[Node] = []
        while not isinstance(event := self._event(), yaml.SequenceEndEvent):
            items.append(self._node(event, child(at.pointer, len(items)), depth + 1, flow=flow))
        torn = flow and any(isinstance(item, Broken) for item in items)
        return Broken(at) if torn else Sequence(tuple(items), at)

    def _key(self, event: Any, pointer: str, depth: int) -> Entry:
        """The key as an entry without its value; with a `Broken` one after a diagnostic."""
        line, column = _start(event)
        at = Where(pointer, line, column)
        if not isinstance(event, yaml.ScalarEvent):
            self._node(event, pointer, depth + 1, flow=False)
            if not isinstance(event, yaml.AliasEvent):
                self._add("E119", at, "a key must be text", "lists and mappings cannot be keys")
            return Entry("", at, Broken(at))
        self._check_properties(event, at)
        text: str = event.value
        at = Where(child(pointer, text), line, column)
        if event.style:
            return Entry(text, at, Scalar(text, text, plain=False, line=line, column=column, at=at))
        return Entry(text, at, self._plain_key(text, at))

    def _plain_key(self, text: str, at: Where) -> Node:
        if text == "":
            self._add(
                "E119", at, "a key must be text", 'write the key before the colon, or "" for the empty one'
            )
        elif text == "<<":
            self._add("E118", at, "merge keys are not allowed", "write the entries out")
        elif text[0] == "=":
            self._broken_expression(at)
        else:
            return Scalar(text, text, plain=True, line=at.line, column=at.column, at=at)
        return Broken(at)

    def _lacks_colon(self, key: Entry, event: Any, value: Node) -> bool:
        """Whether this is a key alone between braces: YAML takes `{a b}` for a key "a b" without a value."""
        if (
            not isinstance(key.value, Scalar)
            or not isinstance(value, Scalar)
            or value.text
            or not value.plain
        ):
            return False
        if _AFTER_KEY.match(self._text, event.end_mark.index):
            return False
        first, _, rest = key.key.partition(" ")
        hint = f"write {first}: {rest}" if rest else f"write {first}: and what it is"
        self._add("E136", key.at, f"the key '{key.key}' has no ':'", hint)
        return True

    def _first_of_block(self, line: int) -> tuple[int, int]:
        """Where the text of a block scalar begins: in the first line after its header that is not blank."""
        if self._lines is None:
            self._lines = self._text.split("\n")
        for number in range(line, len(self._lines)):
            text = self._lines[number]
            if text.strip():
                return number + 1, len(text) - len(text.lstrip(" ")) + 1
        return line, 1

    def _refuse(self, error: yaml.YAMLError) -> NoReturn:
        expression = broken_expression(error, self._text)
        if expression is not None:
            self._broken_expression(Where("", *expression))
        else:
            problem = explain(error, self._text)
            self._add("E102", Where("", problem.line, problem.column), problem.message, problem.hint)
        raise Unreadable


def _parser(text: str) -> Any:
    """The parser of libyaml. The one written in Python refuses `{lang: string?}`, so it will not do."""
    if not yaml.__with_libyaml__:
        raise InvalidSetting(
            "PyYAML was installed without libyaml, so flows in YAML cannot be read",
            hint="install a PyYAML wheel for this platform, or libyaml's headers and build it again",
        )
    return yaml.CSafeLoader(text)


def _start(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1
