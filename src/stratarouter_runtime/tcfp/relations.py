"""How types relate: which fits where, which can ever be equal, and why one does not fit; the one door to it.

What a type is made of is in `parts`, unions in `joining`. Assignability has six rules
(`docs/tcfp.md`, Types). Null carries no labels: that a value is absent tells nothing of what it
would have been. Must never know values, expressions, flows or positions.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.tcfp.joining import join, optional, without_labels, without_null
from stratarouter_runtime.tcfp.parts import (
    is_json,
    is_never,
    is_null,
    labels_of,
    nullable,
    options_of,
    scalar_fits,
)
from stratarouter_runtime.tcfp.types import (
    NULL,
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
    show,
)

__all__ = [
    "assignable",
    "comparable",
    "explain",
    "is_never",
    "is_null",
    "join",
    "label_problem",
    "labels_of",
    "nullable",
    "optional",
    "options_of",
    "without_labels",
    "without_null",
]


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
        case (_, Primitive(name="json")) if is_json(a):
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
            return _misfit_labels(a.labels, b.labels) if scalar_fits(a, b) else _mismatch(a, b)


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
