"""What a type is made of: the options of a union, null, labels of all depths.

Must never know: which type fits where, values, expressions, flows or positions.
"""

from __future__ import annotations

from typing import Final

from stratarouter_runtime.tcfp.types import (
    EnumType,
    Labels,
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

_NOT_JSON: Final = frozenset({"bytes", "never"})


def options_of(type_: Type) -> tuple[Type, ...]:
    """The members of a union, each with the union's labels; any other type is its own single option."""
    if isinstance(type_, UnionType):
        return tuple(
            option if is_null(option) else labelled(option, type_.labels) for option in type_.options
        )
    return (type_,)


def labels_of(type_: Type) -> Labels:
    """All labels that a value of the type may carry, at any depth."""
    match type_:
        case ListType():
            return type_.labels | labels_of(type_.item)
        case MapType():
            return type_.labels | labels_of(type_.value)
        case RecordType():
            return type_.labels.union(*(labels_of(of) for _, of in type_.fields))
        case UnionType():
            return type_.labels.union(*(labels_of(option) for option in type_.options))
        case _:
            return type_.labels


def nullable(type_: Type) -> bool:
    """Whether null is a value of the type."""
    match type_:
        case UnknownType():
            return True
        case UnionType():
            return any(nullable(option) for option in type_.options)
        case Primitive():
            return type_.name in ("null", "json")
        case _:
            return False


def is_null(type_: Type) -> bool:
    """Whether null is the only value of the type."""
    return isinstance(type_, Primitive) and type_.name == "null"


def is_never(type_: Type) -> bool:
    """Whether the type has no values."""
    return isinstance(type_, Primitive) and type_.name == "never"


def is_json(type_: Type) -> bool:
    """Whether every value of the type is one of json as well."""
    match type_:
        case Primitive():
            return type_.name not in _NOT_JSON
        case ListType():
            return is_json(type_.item)
        case MapType():
            return is_json(type_.value)
        case RecordType():
            return all(is_json(of) for _, of in type_.fields)
        case UnionType():
            return all(is_json(option) for option in type_.options)
        case _:
            return isinstance(type_, EnumType)


def scalar_fits(a: Type, b: Type) -> bool:
    """Whether a value of `a` is one of `b`, where neither has parts; labels aside."""
    match a, b:
        case (EnumType(), EnumType()):
            return set(a.members) <= set(b.members)
        case (EnumType(), Primitive(name="string")) | (Primitive(name="int"), Primitive(name="float")):
            return True
        case (Primitive(), Primitive()):
            return a.name == b.name
        case (Ref(), Ref()):
            return a.name == b.name
        case _:
            return False
