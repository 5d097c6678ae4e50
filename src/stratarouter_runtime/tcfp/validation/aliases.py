"""Type names become structure: after this no `Ref` is left.

Aliases are not recursive and not generic. A name in error resolves to the unknown type,
so that what uses it is not reported again. Must never know anything but types.
"""

from __future__ import annotations

from collections.abc import Mapping

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


class Aliases:
    """The type names of one flow. Each is resolved once, however often it is used."""

    def __init__(self, types: Mapping[str, Type], diagnostics: Diagnostics) -> None:
        self._types = types
        self._diagnostics = diagnostics
        self._resolved: dict[str, Type] = {}
        self._open: list[str] = []

    def resolve_all(self) -> None:
        """Resolve every alias, so that mistakes in unused ones are told too."""
        for name in self._types:
            self._alias(name)

    def resolve(self, type_: Type, at: Where) -> Type:
        """The type without names; `at` is the place of the type in the document."""
        match type_:
            case Primitive() | EnumType() | UnknownType():
                return type_
            case Ref():
                return labelled(self._name(type_, at), type_.labels)
            case ListType():
                return ListType(self.resolve(type_.item, at), type_.labels)
            case MapType():
                return MapType(self.resolve(type_.value, at), type_.labels)
            case RecordType():
                return RecordType(
                    tuple((name, self.resolve(field, _field(at, name))) for name, field in type_.fields),
                    type_.labels,
                )
            case UnionType():
                return labelled(
                    relations.join(*(self.resolve(option, at) for option in type_.options)), type_.labels
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
            known = self.resolve(self._types[name], Where(f"/types/{escape(name)}"))
            self._open.pop()
            self._resolved[name] = known
        return known


def _field(at: Where, name: str) -> Where:
    return Where(f"{at.pointer}/{escape(name)}", at.line, at.column)


def _place(ref: Ref, at: Where) -> Where:
    return Where(at.pointer, ref.line or at.line, ref.column or at.column)
