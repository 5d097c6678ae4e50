"""Types of schemas that apply to one value together, or of which exactly one may apply.

Must never know schemas.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from stratarouter_runtime.tcfp.projection import tag_of
from stratarouter_runtime.tcfp.relations import assignable, is_never, options_of, without_labels
from stratarouter_runtime.tcfp.types import (
    JSON,
    EnumType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Type,
    record,
)


def meet(a: Type, b: Type) -> Type | None:
    """The type of the values that fit both; None where no type of the language says that exactly.

    Of two records it has the fields of both.
    """
    for one, other in ((a, b), (b, a)):
        if is_never(one) or without_labels(other) == JSON:
            return one
        if isinstance(one, RecordType) and other == MapType(JSON):
            return one
    if isinstance(a, RecordType) and isinstance(b, RecordType):
        return _both(a, b)
    if assignable(a, b):
        return a
    return b if assignable(b, a) else None


def _both(a: RecordType, b: RecordType) -> Type | None:
    fields = dict(a.fields)
    for name, of in b.fields:
        common = meet(fields[name], of) if name in fields else of
        if common is None or is_never(common):
            return None
        fields[name] = common
    return record(fields)


def apart(options: Sequence[Type]) -> bool:
    """Whether no value fits two of these types."""
    return all(_apart(a, b) for a, b in combinations(options, 2))


def _apart(a: Type, b: Type) -> bool:
    return all(_singly_apart(one, other) for one in options_of(a) for other in options_of(b))


def _singly_apart(a: Type, b: Type) -> bool:
    if is_never(a) or is_never(b):
        return True
    if isinstance(a, EnumType) and isinstance(b, EnumType):
        return set(a.members).isdisjoint(b.members)
    if isinstance(a, RecordType) and isinstance(b, RecordType):
        return tag_of((a, b)) is not None
    kinds = {_kind(a), _kind(b)}
    return len(kinds) == 2 and "any" not in kinds


def _kind(type_: Type) -> str:
    """Which of JSON's kinds of values the values of the type are."""
    match type_:
        case Primitive(name="null" | "bool"):
            return type_.name
        case Primitive(name="int" | "float"):
            return "number"
        case Primitive(name="json"):
            return "any"
        case Primitive(name="file") | RecordType() | MapType():
            return "object"
        case ListType():
            return "array"
        case _:
            return "string"
