"""How types relate: which fits where, what their union is, and why one does not fit.

Assignability has six rules (`docs/tcfp.md`, Types); every other relation is built on the
same structure. Null carries no labels: that a value is absent tells nothing of what it
would have been. Must never know values, expressions, flows or positions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

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
    Ref,
    Type,
    UnionType,
    UnknownType,
    labelled,
    show,
)

_WITH_PARTS: Final = (ListType, MapType, RecordType)
_NOT_JSON: Final = frozenset({"bytes", "never"})


def assignable(a: Type, b: Type) -> bool:
    """Whether every value of type `a` may stand where a `b` is expected (`a ≤ b`), labels included."""
    return _misfit(a, b) is None


def explain(a: Type, b: Type, root: str = "") -> str:
    """The first reason why `a` does not fit `b`, with the path to it from `root`; empty where it fits.

    `explain(a, b, "with")` gives `with.ticket.lang: int is not string`.
    """
    misfit = _misfit(a, b)
    return "" if misfit is None else misfit.text(root)


def label_problem(a: Type, b: Type, root: str = "") -> str | None:
    """What `explain` says, where it is only labels that keep `a` from fitting `b`; else None."""
    misfit = _misfit(a, b)
    return misfit.text(root) if misfit is not None and misfit.labels else None


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


def options_of(type_: Type) -> tuple[Type, ...]:
    """The members of a union, each with the union's labels; any other type is its own single option."""
    if isinstance(type_, UnionType):
        return tuple(
            option if is_null(option) else labelled(option, type_.labels) for option in type_.options
        )
    return (type_,)


def is_null(type_: Type) -> bool:
    """Whether null is the only value of the type."""
    return isinstance(type_, Primitive) and type_.name == "null"


def is_never(type_: Type) -> bool:
    """Whether the type has no values."""
    return isinstance(type_, Primitive) and type_.name == "never"


def comparable(a: Type, b: Type) -> bool:
    """Whether a value of `a` can ever equal a value of `b` (labels do not matter).

    Two empty lists are equal whatever their types; this does not count.
    """
    return any(_comparable(left, right) for left in options_of(a) for right in options_of(b))


def _comparable(a: Type, b: Type) -> bool:
    match a, b:
        case (UnknownType() | Ref(), _) | (_, UnknownType() | Ref()):
            return True
        case (ListType(), ListType()):
            return comparable(a.item, b.item)
        case (MapType(), MapType()):
            return comparable(a.value, b.value)
        case (RecordType(), RecordType()):
            names = {name for name, _ in a.fields + b.fields}
            return all(comparable(a.field(name) or NULL, b.field(name) or NULL) for name in names)
        case (RecordType(), MapType()):
            return all(comparable(of, b.value) for _, of in a.fields)
        case (MapType(), RecordType()):
            return _comparable(b, a)
        case (EnumType(), EnumType()):
            return not set(a.members).isdisjoint(b.members)
        case _:
            return _comparable_scalars(a, b)


def _comparable_scalars(a: Type, b: Type) -> bool:
    kinds = {_kind(a), _kind(b)}
    if "never" in kinds or len(kinds) == 1:
        return True
    if "json" in kinds:
        return "bytes" not in kinds
    return kinds == {"int", "float"}


def _kind(type_: Type) -> str:
    if isinstance(type_, Primitive):
        return type_.name
    return "string" if isinstance(type_, EnumType) else type(type_).__name__


# Assignability.


class _Misfit(Struct, frozen=True):
    """Why a type does not fit: where, what, and the labels in the way if it is only these."""

    reason: str
    path: tuple[str, ...] = ()
    labels: Labels = frozenset()

    def below(self, part: str) -> _Misfit:
        return replace(self, path=(part, *self.path))

    def text(self, root: str) -> str:
        path = ".".join((root, *self.path) if root else self.path).replace(".[]", "[]")
        return f"{path}: {self.reason}" if path else self.reason


def _misfit(a: Type, b: Type) -> _Misfit | None:
    if a == b or isinstance(a, UnknownType) or isinstance(b, UnknownType) or is_never(a):
        return None
    if isinstance(a, UnionType):
        return _first(_misfit(option, b) for option in options_of(a))
    if isinstance(b, UnionType):
        return _misfit_union(a, b)
    return _misfit_kind(a, b)


def _misfit_union(a: Type, b: UnionType) -> _Misfit | None:
    found = [_misfit(a, option) for option in options_of(b)]
    if None in found:
        return None
    near = next((misfit for misfit in found if misfit and misfit.labels), None)
    if near is None and len(found) == 2 and any(is_null(option) for option in b.options):
        near = next(misfit for misfit, option in zip(found, b.options, strict=True) if not is_null(option))
        return near if near and near.path else _mismatch(a, b)
    return near or _mismatch(a, b)


def _misfit_kind(a: Type, b: Type) -> _Misfit | None:
    match a, b:
        case (Primitive(name="null"), Primitive(name="null" | "json")):
            return None
        case (_, Primitive(name="json")) if _is_json(a):
            return _misfit_labels(labels_of(a), b.labels)
        case (ListType(), ListType()):
            found = _misfit(a.item, b.item)
            return found.below("[]") if found else _misfit_labels(a.labels, b.labels)
        case (MapType(), MapType()):
            found = _misfit(a.value, b.value)
            return found.below("*") if found else _misfit_labels(a.labels, b.labels)
        case (RecordType(), RecordType()):
            return _misfit_fields(a, b) or _misfit_labels(a.labels, b.labels)
        case _:
            return _misfit_labels(a.labels, b.labels) if _scalar_fits(a, b) else _mismatch(a, b)


def _scalar_fits(a: Type, b: Type) -> bool:
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


def _misfit_fields(a: RecordType, b: RecordType) -> _Misfit | None:
    mine = dict(a.fields)
    return _first(_misfit_field(mine.get(name), name, of) for name, of in b.fields)


def _misfit_field(mine: Type | None, name: str, wanted: Type) -> _Misfit | None:
    if mine is None:
        return None if nullable(wanted) else _Misfit(f"missing, {show(wanted)} is required", (name,))
    found = _misfit(mine, wanted)
    return found.below(name) if found else None


def _first(misfits: Iterable[_Misfit | None]) -> _Misfit | None:
    """The first misfit of types; only if there is none, the first of labels."""
    by_label: _Misfit | None = None
    for misfit in misfits:
        if misfit and not misfit.labels:
            return misfit
        by_label = by_label or misfit
    return by_label


def _misfit_labels(a: Labels, b: Labels) -> _Misfit | None:
    extra = a - b
    if not extra:
        return None
    shown = ", ".join(f"@{label}" for label in sorted(extra))
    return _Misfit(f"value carries {shown}, which the receiver does not accept", labels=extra)


def _mismatch(a: Type, b: Type) -> _Misfit:
    return _Misfit(f"{show(a)} is not {show(b)}")


def _is_json(type_: Type) -> bool:
    match type_:
        case Primitive():
            return type_.name not in _NOT_JSON
        case ListType():
            return _is_json(type_.item)
        case MapType():
            return _is_json(type_.value)
        case RecordType():
            return all(_is_json(of) for _, of in type_.fields)
        case UnionType():
            return all(_is_json(option) for option in type_.options)
        case _:
            return isinstance(type_, EnumType)


# Join.


def _normal(options: list[Type]) -> Type:
    """The normal form of a union of `options`: no union, never or unknown among them."""
    merged = _absorb_json(_merge_enums(_merge_primitives(options)))
    if len(merged) > MAX_OPTIONS and all(map(_is_json, merged)):
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
    labels: Labels = frozenset().union(*(labels_of(option) for option in options if _is_json(option)))
    return [labelled(JSON, labels), *(option for option in options if not _is_json(option))]


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
        case (_, Primitive(name="json")) if _is_json(a):
            return labels_of(a) <= b.labels
        case _:
            return a == b or isinstance(b, UnknownType) or _scalar_fits(a, b)


def _union(types: Iterable[Type]) -> Labels:
    return frozenset().union(*(type_.labels for type_ in types))
