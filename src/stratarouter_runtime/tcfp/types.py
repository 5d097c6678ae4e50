"""The types of TCFP as plain records, and how they are written.

Eleven primitives and five ways to build: list, map, enum, record, union. Every
type carries the labels of the values it describes. Records are structural;
fields and enum members are kept sorted, so equal types are equal objects by `==`
whatever the order they were written in; hashes are kept, as types are keys of many
caches. Rules between types are in `relations`;
must never know values, positions (save for an unresolved `Ref`) or flows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Labels: TypeAlias = frozenset[str]
NO_LABELS: Final[Labels] = frozenset()

PrimitiveName: TypeAlias = Literal[
    "bool", "int", "float", "string", "bytes", "time", "duration", "file", "json", "null", "never"
]
PRIMITIVES: Final = ("bool", "int", "float", "string", "bytes", "time", "duration", "file", "json", "null")


class Primitive(Struct, frozen=True, cache_hash=True):
    """A type without parts. `never` is the type of what does not return; it cannot be written."""

    name: PrimitiveName
    labels: Labels = NO_LABELS


class EnumType(Struct, frozen=True, cache_hash=True):
    """A closed set of strings; `members` are sorted and unique. A string literal has a one-member enum type."""

    members: tuple[str, ...]
    labels: Labels = NO_LABELS


class ListType(Struct, frozen=True, cache_hash=True):
    """Values of one type, in order."""

    item: Type
    labels: Labels = NO_LABELS


class MapType(Struct, frozen=True, cache_hash=True):
    """String keys to values of one type; iterated in key order."""

    value: Type
    labels: Labels = NO_LABELS


class RecordType(Struct, frozen=True, cache_hash=True):
    """Named fields, sorted by name. A field whose type admits null may be left out of a value."""

    fields: tuple[tuple[str, Type], ...]
    labels: Labels = NO_LABELS

    def field(self, name: str) -> Type | None:
        """The type of the field `name`, or None where there is no such field."""
        for key, type_ in self.fields:
            if key == name:
                return type_
        return None


class UnionType(Struct, frozen=True, cache_hash=True):
    """One of several types: flat, at least two, in one fixed order; built only by `relations.join`."""

    options: tuple[Type, ...]
    labels: Labels = NO_LABELS


class Ref(Struct, frozen=True, cache_hash=True):
    """A name of a type alias, not yet resolved: only in flows as written, never in a plan."""

    name: str
    line: int = 0
    column: int = 0
    labels: Labels = NO_LABELS


class UnknownType(Struct, frozen=True, cache_hash=True):
    """The type of what is already in error: fits everything, so that one mistake is reported once."""

    labels: Labels = NO_LABELS


Type: TypeAlias = Primitive | EnumType | ListType | MapType | RecordType | UnionType | Ref | UnknownType

MAX_OPTIONS: Final = 64
"""The kinds of value that a union tells apart. A written one has no more; a computed one of more is json."""

BOOL: Final = Primitive("bool")
INT: Final = Primitive("int")
FLOAT: Final = Primitive("float")
STRING: Final = Primitive("string")
BYTES: Final = Primitive("bytes")
TIME: Final = Primitive("time")
DURATION: Final = Primitive("duration")
FILE: Final = Primitive("file")
JSON: Final = Primitive("json")
NULL: Final = Primitive("null")
NEVER: Final = Primitive("never")
UNKNOWN: Final = UnknownType()


def enum(members: Iterable[str]) -> EnumType:
    """The enum of these strings, sorted and without repeats."""
    return EnumType(tuple(sorted(set(members))))


def record(fields: Mapping[str, Type]) -> RecordType:
    """The record of these fields, sorted by name."""
    return RecordType(tuple(sorted(fields.items())))


def labelled(type_: Type, labels: Labels) -> Type:
    """The same type carrying `labels` in addition to its own."""
    if labels <= type_.labels:
        return type_
    return replace(type_, labels=type_.labels | labels)


def show(type_: Type) -> str:
    """The type as a flow would write it: `{at: time, who: string @pii}?`."""
    return _show(type_) + "".join(f" @{label}" for label in sorted(type_.labels))


def _show(type_: Type) -> str:  # noqa: C901 - one case a kind of type
    match type_:
        case Primitive():
            return type_.name
        case EnumType():
            return f"[{', '.join(type_.members)}]"
        case ListType():
            return f"list<{show(type_.item)}>"
        case MapType():
            return f"map<{show(type_.value)}>"
        case RecordType():
            return "{" + ", ".join(f"{name}: {show(of)}" for name, of in type_.fields) + "}"
        case UnionType():
            return _show_union(type_.options)
        case Ref():
            return type_.name
        case UnknownType():
            return "?"


def _show_union(options: tuple[Type, ...]) -> str:
    present = [option for option in options if option != NULL]
    if len(present) < len(options):
        inner = " | ".join(show(option) for option in present)
        return f"{inner}?" if len(present) == 1 else f"({inner})?"
    return " | ".join(show(option) for option in options)
