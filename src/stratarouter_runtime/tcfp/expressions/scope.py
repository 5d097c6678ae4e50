"""Which names an expression sees: their types, and the slots that hold their values.

A scope is immutable; binding or narrowing gives another. Must never know syntax,
or how slots are filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from stratarouter_runtime.tcfp.relations import join, options_of
from stratarouter_runtime.tcfp.types import RecordType, Type, UnionType

LOCAL: Final = -1
"""The depth of a name that a macro binds: its index numbers a local of the code."""

Path: TypeAlias = tuple[str, ...]
Facts: TypeAlias = Mapping[Path, Type]
"""What a test proves: access path (`("p",)`, `("p", "page")`) to the narrower type there.

In the order they were learnt: a later fact was learnt with the earlier ones applied.
"""

NO_FACTS: Final[Facts] = {}


class Binding(Struct, frozen=True):
    """A name's type, and where its value stands in the environment."""

    type: Type
    depth: int
    index: int


class Scope:
    """Names to bindings."""

    __slots__ = ("_bindings",)

    def __init__(self, bindings: Mapping[str, Binding] | None = None) -> None:
        self._bindings: Mapping[str, Binding] = bindings or {}

    def lookup(self, name: str) -> Binding | None:
        """The binding of `name`, or None."""
        return self._bindings.get(name)

    def names(self) -> Iterable[str]:
        """All names in scope, sorted."""
        return sorted(self._bindings)

    def bind(self, name: str, type_: Type, depth: int, index: int) -> Scope:
        """The scope in which `name` also stands for the slot (depth, index)."""
        return Scope({**self._bindings, name: Binding(type_, depth, index)})

    def narrow(self, facts: Facts) -> Scope:
        """The scope in which `facts` hold; facts about names that are not bound are ignored."""
        if not facts:
            return self
        bindings = dict(self._bindings)
        for (name, *fields), type_ in facts.items():
            found = bindings.get(name)
            if found is not None:
                narrower = _refine(found.type, fields, type_)
                bindings[name] = Binding(narrower, found.depth, found.index)
        return Scope(bindings)


def _refine(type_: Type, path: list[str], narrower: Type) -> Type:
    """The type with `narrower` at `path` below it; records of a union are refined each."""
    if not path:
        return narrower
    match type_:
        case UnionType():
            return join(*(_refine(option, path, narrower) for option in options_of(type_)))
        case RecordType():
            fields = tuple(
                (name, _refine(of, path[1:], narrower) if name == path[0] else of)
                for name, of in type_.fields
            )
            return RecordType(fields, type_.labels)
        case _:
            return type_
