"""How types are written, both ways: nodes of a document -> `types.Type` -> JSON-able data.

A YAML list is an enum, a YAML mapping a record, a string is type text. Inside of text the
same two forms may be nested: `list<{id: string, lang: string?}>`. Names are not resolved
here: an alias becomes a `Ref` with its place, so a misspelt primitive is found when
aliases are. Must never know which aliases exist, or any rule between types.

`T?` and `A | B` become raw unions, in written order and not normalised: `UnionType((T, NULL))`.
Whoever resolves the aliases (the validator) also normalises, by `relations.join`, since
only then is it known what overlaps.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from stratarouter_runtime.tcfp import types
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.text import Broken, Mapping, Node, Scalar, Sequence
from stratarouter_runtime.tcfp.types import (
    MAX_OPTIONS,
    NULL,
    PRIMITIVES,
    UNKNOWN,
    EnumType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Ref,
    Type,
    UnionType,
    UnknownType,
)

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.diagnostics import Diagnostics

_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*(?: (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<label>@[A-Za-z_][A-Za-z0-9_.\-]*)
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<mark>[<>?|,:()\[\]{}])
    | (?P<end>\Z) )""",
    re.VERBOSE,
)
_BARE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_NESTING: Final = 32
_BY_NAME: Final[dict[str, Primitive]] = {name: Primitive(name) for name in PRIMITIVES}


class _Malformed(Exception):
    """Type text that cannot be read on: code, offset, message and hint of the diagnostic."""

    def __init__(self, code: str, offset: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.details = (code, offset, message, hint)


def read_type(node: Node, diagnostics: Diagnostics) -> Type:
    """The type that a node writes; UNKNOWN after a diagnostic (E120 to E127)."""
    match node:
        case Scalar():
            return _from_scalar(node, diagnostics)
        case Sequence():
            return _from_list(node, diagnostics)
        case Mapping():
            return types.record({entry.key: read_type(entry.value, diagnostics) for entry in node.entries})
        case Broken():
            return UNKNOWN


def _from_scalar(node: Scalar, diagnostics: Diagnostics) -> Type:
    if node.data is None:
        return NULL
    if not isinstance(node.data, str):
        diagnostics.add(
            "E120", node.at, f"{node.text} is no type", "write a type such as string, or [a, b] for an enum"
        )
        return UNKNOWN
    known = _BY_NAME.get(node.text)
    if known is not None:
        return known
    try:
        return _Text(node.text, node.line, node.column).whole()
    except _Malformed as error:
        code, offset, message, hint = error.details
        at = Where(node.at.pointer, node.line, node.column + offset)
        diagnostics.add(code, at, message, hint)
        return UNKNOWN


def _from_list(node: Sequence, diagnostics: Diagnostics) -> Type:
    members: dict[str, None] = {}
    if not node.items:
        diagnostics.add("E123", node.at, "an enum without members", "write [a, b], or list<T> for a list")
        return UNKNOWN
    for item in node.items:
        if isinstance(item, Scalar) and isinstance(item.data, str):
            if item.data in members:
                diagnostics.add("E125", item.at, f"the member '{item.data}' is written twice", "remove one")
            members[item.data] = None
        elif not isinstance(item, Broken):
            shown = item.text if isinstance(item, Scalar) else "a nested type"
            diagnostics.add(
                "E124",
                item.at,
                f"an enum has strings as members, not {shown or 'null'}",
                f'write "{shown}"' if isinstance(item, Scalar) else "write list<T> for a list",
            )
    return types.enum(members) if len(members) == len(node.items) else UNKNOWN


class _Text:
    """Recursive descent over type text: union, then postfix `?` and `@label`, then atoms."""

    def __init__(self, text: str, line: int, column: int) -> None:
        self._text = text
        self._line = line
        self._column = column
        self._depth = 0
        self._next = 0
        self._symbol = ""
        self._advance()

    def whole(self) -> Type:
        """The type that the whole text writes."""
        type_ = self._union()
        if self._kind != "end":
            self._refuse(f"'{self._symbol}' is not expected here")
        return type_

    def _advance(self) -> str:
        """Step to the next token; returns the one stepped over."""
        over = self._symbol
        found = _TOKEN.match(self._text, self._next)
        if found is None or found.lastgroup is None:
            rest = self._text[self._next :].lstrip()
            self._start = len(self._text) - len(rest)
            self._symbol = rest[:1]
            self._refuse(f"'{self._symbol}' is not expected here")
        self._kind = found.lastgroup
        self._symbol = found[self._kind]
        self._start = found.start(self._kind)
        self._next = found.end()
        return over

    def _refuse(self, message: str, hint: str = "", code: str = "E121") -> NoReturn:
        if not hint:
            hint = "a type is e.g. string, list<T>, map<T>, T?, A | B, T @pii"
        raise _Malformed(code, self._start, message, hint)

    def _expect(self, mark: str) -> None:
        if self._symbol != mark or self._kind != "mark":
            found = f"not '{self._symbol}'" if self._symbol else "but the type ends"
            self._refuse(f"'{mark}' is expected here, {found}")
        self._advance()

    def _accept(self, mark: str) -> bool:
        if self._kind == "mark" and self._symbol == mark:
            self._advance()
            return True
        return False

    def _union(self) -> Type:
        options = [self._postfix()]
        while self._accept("|"):
            options.append(self._postfix())
        if len(options) == 1:
            return options[0]
        union = _raw_union(options)
        if len(union.options) > MAX_OPTIONS:
            self._refuse(f"a union of more than {MAX_OPTIONS} types", "write json, and convert", code="E127")
        return union

    def _postfix(self) -> Type:
        type_ = self._atom()
        while True:
            if self._kind == "label":
                label = self._advance()[1:]
                type_ = types.labelled(type_, frozenset((label,)))
            elif self._accept("?"):
                type_ = _raw_union([type_, NULL])
            else:
                return type_

    def _atom(self) -> Type:
        self._depth += 1
        if self._depth > _MAX_NESTING:
            self._refuse(f"types nest deeper than {_MAX_NESTING}", "name the inner types", code="E126")
        type_ = self._bracketed() if self._kind == "mark" else self._named()
        self._depth -= 1
        return type_

    def _bracketed(self) -> Type:
        if self._accept("("):
            inner = self._union()
            self._expect(")")
            return inner
        if self._accept("["):
            return self._members()
        if self._accept("{"):
            return self._fields()
        return self._refuse(f"a type is expected here, not '{self._symbol}'")

    def _named(self) -> Type:
        if self._kind != "word":
            self._refuse(
                f"a type is expected here, not '{self._symbol}'" if self._symbol else "a type is missing"
            )
        start = self._start
        name = self._advance()
        if name in ("list", "map"):
            return self._of(name)
        return _BY_NAME.get(name) or Ref(name, self._line, self._column + start)

    def _of(self, name: str) -> Type:
        if not self._accept("<"):
            self._refuse(f"'{name}' lacks the type of its parts", f"write {name}<string>", code="E122")
        part = self._union()
        self._expect(">")
        return ListType(part) if name == "list" else MapType(part)

    def _members(self) -> Type:
        members: list[str] = []
        if self._symbol == "]":
            self._refuse("an enum without members", "write [a, b]", code="E123")
        while not members or self._accept(","):
            members.append(self._name("a member of an enum"))
        self._expect("]")
        return types.enum(members)

    def _fields(self) -> Type:
        fields: dict[str, Type] = {}
        while self._symbol != "}" and (not fields or self._accept(",")):
            name = self._name("the name of a field")
            if name in fields:
                self._refuse(f"the field '{name}' is written twice", "remove one", code="E125")
            self._expect(":")
            fields[name] = self._union()
        self._expect("}")
        return types.record(fields)

    def _name(self, what: str) -> str:
        if self._kind == "word":
            return self._advance()
        if self._kind == "string":
            text = self._unquoted(self._symbol)
            self._advance()
            return text
        return self._refuse(f"{what} is expected here", "write a word, or text in double quotes")

    def _unquoted(self, token: str) -> str:
        try:
            return str(json.loads(token))
        except json.JSONDecodeError:
            return self._refuse(f"{token} is no text", "write it as JSON does")


def _raw_union(options: list[Type]) -> UnionType:
    """These options, with those of unlabelled unions among them in their place."""
    flat: dict[Type, None] = {}
    for option in options:
        parts = option.options if isinstance(option, UnionType) and not option.labels else (option,)
        flat |= dict.fromkeys(parts)
    return UnionType(tuple(flat))


# Types -> text and data.


def write_type(type_: Type) -> Any:
    """The type as JSON-able data that `read_type` reads as the same type.

    Records and enums become mappings and lists where they stand free; everything else is text.
    """
    match type_:
        case RecordType(fields=fields) if not type_.labels:
            return {name: write_type(of) for name, of in fields}
        case EnumType(members=members) if not type_.labels:
            return list(members)
        case _:
            return type_text(type_)


def type_text(type_: Type) -> str:
    """The type as text, on one line."""
    text = f"({_text(type_)})" if isinstance(type_, UnionType) and type_.labels else _text(type_)
    return text + "".join(f" @{label}" for label in sorted(type_.labels))


def _text(type_: Type) -> str:
    match type_:
        case Primitive() | Ref():
            return type_.name
        case EnumType():
            return f"[{', '.join(map(_word, type_.members))}]"
        case ListType():
            return f"list<{type_text(type_.item)}>"
        case MapType():
            return f"map<{type_text(type_.value)}>"
        case RecordType():
            return "{" + ", ".join(f"{_word(name)}: {type_text(of)}" for name, of in type_.fields) + "}"
        case UnionType():
            return _union_text(type_.options)
        case UnknownType():
            raise ValueError("a type that is in error cannot be written")


def _union_text(options: tuple[Type, ...]) -> str:
    match options:
        case (present, last) if last == NULL and not isinstance(present, UnionType):
            return f"{type_text(present)}?"
        case _:
            return " | ".join(map(_option_text, options))


def _option_text(type_: Type) -> str:
    return f"({type_text(type_)})" if isinstance(type_, UnionType) else type_text(type_)


def _word(text: str) -> str:
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
