"""Type names become structure: after this no `Ref` is left.

Aliases are not recursive and not generic. A name in error resolves to the unknown type,
so that what uses it is not reported again. Must never know anything but types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from stratarouter_runtime.canonical import escape
from stratarouter_runtime.tcfp import relations
from stratarouter_runtime.tcfp.diagnostics import Diagnostics, did_you_mean
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.types import (
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
    labelled,
)

MAX_DEPTH: Final = 128
MAX_PARTS: Final = 10_000
MAX_WHOLE: Final = 250_000
"""Parts of all types of a flow together, each counted wherever it is used."""


class _TooDeep(Exception):
    """A type has more than `MAX_DEPTH` levels."""


class _Extent(NamedTuple):
    """How deep a type is, names that stand for names counted, and of how many parts when written out."""

    levels: int
    parts: int


_LEAF: Final = _Extent(1, 1)


class Aliases:
    """The type names of one flow. Each is resolved once, however often it is used.

    Names let a short text stand for a huge type (each twice the one before it), so what
    they stand for is measured before it is built: beyond `MAX_DEPTH` or `MAX_PARTS` it is E126.
    """

    def __init__(
        self, types: Mapping[str, Type], diagnostics: Diagnostics, places: Mapping[str, Where] | None = None
    ) -> None:
        self._types = types
        self._places = places or {}
        self._diagnostics = diagnostics
        self._resolved: dict[str, Type] = {}
        self._extents: dict[str, _Extent] = {}
        self._open: list[str] = []
        self._parts = 0
        self._told = False

    def resolve_all(self) -> None:
        """Resolve every alias, so that mistakes in unused ones are told too."""
        for name in self._types:
            self._alias(name)

    def resolve(self, type_: Type, at: Where) -> Type:
        """The type without names; `at` is the place of the type in the document."""
        if isinstance(type_, Primitive | EnumType):
            return type_
        if self._fits(type_):
            return self._resolve(type_, at)
        if not self._told:
            self._told = True
            message = (
                f"with its names written out, this type has more than {MAX_PARTS} parts or {MAX_DEPTH} levels"
            )
            self._diagnostics.add("E126", at, message, "write json where the parts do not matter")
        return UNKNOWN

    def _fits(self, type_: Type) -> bool:
        try:
            parts = self._extent(type_, 1).parts
        except _TooDeep:
            return False
        self._parts += parts
        return parts <= MAX_PARTS and self._parts <= MAX_WHOLE

    def _extent(self, type_: Type, level: int) -> _Extent:  # noqa: C901 - one case a kind of type
        if level > MAX_DEPTH:
            raise _TooDeep
        match type_:
            case Primitive() | EnumType():
                return _LEAF
            case Ref():
                return self._extent_of_name(type_.name, level)
            case ListType():
                return _around([self._extent(type_.item, level + 1)])
            case MapType():
                return _around([self._extent(type_.value, level + 1)])
            case RecordType():
                return _around([self._extent(field, level + 1) for _, field in type_.fields])
            case UnionType():
                return _around([self._extent(option, level + 1) for option in type_.options])
            case UnknownType():
                return _LEAF

    def _extent_of_name(self, name: str, level: int) -> _Extent:
        """Of a name that is unknown, or contains itself, next to nothing: it is told when it is resolved."""
        known = self._extents.get(name)
        if known is not None and level + known.levels > MAX_DEPTH:
            raise _TooDeep
        if known is not None or name not in self._types or name in self._open:
            return known or _LEAF
        self._open.append(name)
        try:
            self._extents[name] = known = _around([self._extent(self._types[name], level + 1)])
        finally:
            self._open.pop()
        return known

    def _resolve(self, type_: Type, at: Where) -> Type:
        match type_:
            case Primitive() | EnumType() | UnknownType():
                return type_
            case Ref():
                return labelled(self._name(type_, at), type_.labels)
            case ListType():
                return ListType(self._resolve(type_.item, at), type_.labels)
            case MapType():
                return MapType(self._resolve(type_.value, at), type_.labels)
            case RecordType():
                return RecordType(
                    tuple((name, self._resolve(field, _field(at, name))) for name, field in type_.fields),
                    type_.labels,
                )
            case UnionType():
                return labelled(
                    relations.join(*(self._resolve(option, at) for option in type_.options)), type_.labels
                )

    def _name(self, ref: Ref, at: Where) -> Type:
        if ref.name not in self._types:
            self._diagnostics.add(
                "E300",
                _place(ref, at),
                f"unknown type '{ref.name}'",
                did_you_mean(ref.name, (*self._types, *PRIMITIVES)) or "declare it under types:",
            )
            return UNKNOWN
        if ref.name in self._open:
            chain = " → ".join([*self._open[self._open.index(ref.name) :], ref.name])
            self._diagnostics.add(
                "E301",
                _place(ref, at),
                f"type '{ref.name}' contains itself: {chain}",
                "types are not recursive: use json where the nesting has no end",
            )
            return UNKNOWN
        return self._alias(ref.name)

    def _alias(self, name: str) -> Type:
        known = self._resolved.get(name)
        if known is None:
            self._open.append(name)
            at = Where(f"/types/{escape(name)}")
            known = self.resolve(self._types[name], self._places.get(at.pointer, at))
            self._open.pop()
            self._resolved[name] = known
        return known


def _around(parts: list[_Extent]) -> _Extent:
    levels, count = 0, 1
    for part in parts:
        levels = max(levels, part.levels)
        count += part.parts
    return _Extent(levels + 1, count)


def _field(at: Where, name: str) -> Where:
    return Where(f"{at.pointer}/{escape(name)}", at.line, at.column)


def _place(ref: Ref, at: Where) -> Where:
    return Where(at.pointer, ref.line or at.line, ref.column or at.column)
