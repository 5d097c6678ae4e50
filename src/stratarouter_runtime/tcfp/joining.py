"""Types put together: the least type that several fit, in one normal form; and taken apart again.

Must never know: values, expressions, flows or positions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from stratarouter_runtime.tcfp.parts import is_json, is_never, is_null, labels_of, options_of, scalar_fits
from stratarouter_runtime.tcfp.types import (
    JSON,
    MAX_OPTIONS,
    NEVER,
    NULL,
    STRING,
    EnumType,
    Labels,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Type,
    UnionType,
    UnknownType,
    labelled,
    show,
)

_WITH_PARTS: Final = (ListType, MapType, RecordType)


def join(*types: Type) -> Type:
    """The least type that all of `types` fit: their union, flat and in one fixed order.

    Enums merge, string absorbs enums, float absorbs int, json absorbs every JSON type
    and a list, map or record absorbs another that adds nothing. What would have more than
    `MAX_OPTIONS` is json. `join()` is never.
    """
    if len(types) == 1 and not isinstance(types[0], UnionType):
        return types[0]
    options = [option for type_ in types for option in options_of(type_)]
    unknown = [option for option in options if isinstance(option, UnknownType)]
    if unknown:
        return UnknownType(_union(unknown))
    present = [option for option in options if not is_never(option)]
    if not present:
        return options[0] if options and all(option == options[0] for option in options) else NEVER
    return _normal(present)


def optional(type_: Type) -> Type:
    """`T?`: the type, or null."""
    return join(type_, NULL)


def without_null(type_: Type) -> Type:
    """The type without null: `T` of `T?`; never of null. Json stays json."""
    return join(*(option for option in options_of(type_) if not is_null(option)))


def without_labels(type_: Type) -> Type:
    """The type with the labels of all depths removed."""
    match type_:
        case ListType():
            return ListType(without_labels(type_.item))
        case MapType():
            return MapType(without_labels(type_.value))
        case RecordType():
            return RecordType(tuple((name, without_labels(of)) for name, of in type_.fields))
        case UnionType():
            return join(*(without_labels(option) for option in type_.options))
        case _:
            return replace(type_, labels=frozenset()) if type_.labels else type_


def _normal(options: list[Type]) -> Type:
    """The normal form of a union of `options`: no union, never or unknown among them."""
    merged = _absorb_json(_merge_enums(_merge_primitives(options)))
    if len(merged) > MAX_OPTIONS and all(map(is_json, merged)):
        return labelled(JSON, frozenset().union(*map(labels_of, merged)))
    if len(merged) == 1:
        return merged[0]
    merged.sort(key=lambda option: (is_null(option), show(option)))
    kept = _absorb_parts(merged) if sum(isinstance(option, _WITH_PARTS) for option in merged) > 1 else merged
    return kept[0] if len(kept) == 1 else UnionType(tuple(kept))


def _absorb_parts(options: list[Type]) -> list[Type]:
    """Without those that another holds; of two that hold each other the first stays."""
    kept: list[Type] = []
    for new in options:
        if not any(_within(new, other) for other in kept):
            kept = [*(other for other in kept if not _within(other, new)), new]
    return kept


def _merge_primitives(options: list[Type]) -> list[Type]:
    labels: dict[str, Labels] = {}
    rest: dict[Type, None] = {}
    for option in options:
        if isinstance(option, Primitive):
            labels[option.name] = labels.get(option.name, frozenset()) | option.labels
        else:
            rest[option] = None
    if "int" in labels and "float" in labels:
        labels["float"] |= labels.pop("int")
    if "null" in labels and (rest or len(labels) > 1):
        labels["null"] = frozenset()
    return [*(Primitive(name, carried) for name, carried in labels.items()), *rest]  # type: ignore[arg-type]  # names come from primitives


def _merge_enums(options: list[Type]) -> list[Type]:
    enums = [option for option in options if isinstance(option, EnumType)]
    if not enums:
        return options
    labels = _union(enums)
    text = next(
        (option for option in options if isinstance(option, Primitive) and option.name == "string"), None
    )
    rest = [option for option in options if not isinstance(option, EnumType) and option is not text]
    if text is not None:
        return [*rest, labelled(STRING, labels | text.labels)]
    members = {member for option in enums for member in option.members}
    return [*rest, EnumType(tuple(sorted(members)), labels)]


def _absorb_json(options: list[Type]) -> list[Type]:
    if not any(isinstance(option, Primitive) and option.name == "json" for option in options):
        return options
    labels: Labels = frozenset().union(*(labels_of(option) for option in options if is_json(option)))
    return [labelled(JSON, labels), *(option for option in options if not is_json(option))]


def _within(a: Type, b: Type) -> bool:
    """Whether `b` already holds `a`, so that their join is `b`: labels of `a` stay, ints in floats do too."""
    return a == b or all(any(_held(mine, other) for other in options_of(b)) for mine in options_of(a))


def _held(a: Type, b: Type) -> bool:
    if is_never(a) or (is_null(a) and is_null(b)):
        return True
    if not a.labels <= b.labels:
        return False
    match a, b:
        case (ListType(item=part), ListType(item=of)) | (MapType(value=part), MapType(value=of)):
            return _within(part, of)
        case (RecordType(), RecordType()):
            mine, theirs = dict(a.fields), dict(b.fields)
            return [*mine] == [*theirs] and all(map(_within, mine.values(), theirs.values()))
        case (_, Primitive(name="json")) if is_json(a):
            return labels_of(a) <= b.labels
        case _:
            return a == b or isinstance(b, UnknownType) or scalar_fits(a, b)


def _union(types: Iterable[Type]) -> Labels:
    return frozenset().union(*(type_.labels for type_ in types))
