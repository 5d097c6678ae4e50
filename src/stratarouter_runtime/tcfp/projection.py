"""Types compiled to projections: functions that check a value and bring it to its type.

`checker` is the whole interface. A projected value shares no list or dict with the value it
was made from, and every dict in it is in key order. Must never know: flows, agents, or why
a value crosses a boundary.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from stratarouter_runtime.tcfp import plan, scalars
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.relations import nullable
from stratarouter_runtime.tcfp.scalars import Misfit, Project, expected
from stratarouter_runtime.tcfp.types import (
    EnumType,
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

_SHOWN: Final = 60
"""How many characters of a wrong enum member a message repeats."""


@lru_cache(maxsize=4096)
def checker(type_: Type) -> plan.Checker:
    """The projection of `type_`; the same object for the same type.

    `project` returns the value brought to the type (extra fields dropped, missing nullable
    fields null, int to float, times and durations in normal form, bytes from base64 text)
    or raises `Misfit`. Subclasses of the plain classes, and tuples, become plain.
    """
    return plan.Checker(type_, _compile(type_))


def _compile(type_: Type) -> Project:  # noqa: C901 - one case a kind of type
    match type_:
        case Primitive():
            return scalars.PRIMITIVES[type_.name]
        case EnumType():
            return _enum(type_)
        case ListType():
            return _list(checker(type_.item).project)
        case MapType():
            return _map(checker(type_.value).project)
        case RecordType():
            return _record(type_)
        case UnionType():
            return _union(type_)
        case UnknownType():
            return scalars.json_value
        case Ref():
            raise ValueError(f"the type {type_.name} has not been resolved")


def _enum(type_: EnumType) -> Project:
    members = {member: member for member in type_.members}

    def project(value: Any) -> Any:
        try:
            return members[value]
        except (KeyError, TypeError):
            raise _no_member(type_, value) from None

    return project


def _no_member(type_: EnumType, value: Any) -> Misfit:
    if not isinstance(value, str):
        return expected(f"one of {show(type_)}", value)
    if type_.labels:
        return Misfit(f"expected one of {show(type_)}, found another string")
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return Misfit(f"expected one of {show(type_)}, found {shown!r}", hint=did_you_mean(shown, type_.members))


def _list(project_item: Project) -> Project:
    def project(value: Any) -> Any:
        if type(value) is not list and not isinstance(value, list | tuple):
            raise expected("list", value)
        return scalars.items(value, project_item)

    return project


def _map(project_value: Project) -> Project:
    def project(value: Any) -> Any:
        if not isinstance(value, dict):
            raise expected("map", value)
        return scalars.entries(value, project_value)

    return project


def _record(type_: RecordType) -> Project:
    shape = [(name, checker(of).project, nullable(of)) for name, of in type_.fields]
    return lambda value: scalars.fields(value, shape)


# Unions.


def trial_order(type_: UnionType) -> tuple[Type, ...]:
    """The options of a union in the order in which they are tried: the first that fits is taken.

    Null, bool, int, float, enum, time, duration, string, bytes, file; then records, those that
    demand more fields first, then those that know more; then lists, maps, and json. Options of
    one rank keep the order of the union.
    """
    return tuple(sorted(type_.options, key=_rank))


def tag_of(options: tuple[Type, ...]) -> tuple[str, dict[str, RecordType]] | None:
    """The field that tells these records apart, and the record each of its values means.

    It is the first field, by name, that every option declares as an enum, none of whose members
    two options share; None where an option is no record or no field tells them apart.
    """
    records = [option for option in options if isinstance(option, RecordType)]
    if len(records) < len(options) or len(records) < 2:
        return None
    for name, _ in records[0].fields:
        chosen = _by_tag(name, records)
        if chosen is not None:
            return name, chosen
    return None


def _by_tag(name: str, records: list[RecordType]) -> dict[str, RecordType] | None:
    chosen: dict[str, RecordType] = {}
    for option in records:
        of = option.field(name)
        if not isinstance(of, EnumType) or not chosen.keys().isdisjoint(of.members):
            return None
        chosen.update(dict.fromkeys(of.members, option))
    return chosen


def _rank(option: Type) -> tuple[int, int, int]:
    match option:
        case Primitive():
            return _RANKS.index(option.name), 0, 0
        case EnumType():
            return _RANKS.index("enum"), 0, 0
        case RecordType():
            demanded = sum(not nullable(of) for _, of in option.fields)
            return _RANKS.index("record"), -demanded, -len(option.fields)
        case ListType():
            return _RANKS.index("list"), 0, 0
        case MapType():
            return _RANKS.index("map"), 0, 0
        case _:
            return len(_RANKS), 0, 0


_RANKS: Final = (
    *("null", "bool", "int", "float", "enum", "time", "duration", "string", "bytes", "file"),
    *("record", "list", "map", "json", "never"),
)


def _union(type_: UnionType) -> Project:
    order = trial_order(type_)
    if not nullable(order[0]):
        return _choice(order)
    present = order[1:] if isinstance(order[0], Primitive) and order[0].name == "null" else order
    inner = checker(present[0]).project if len(present) == 1 else _choice(present)
    return lambda value: None if value is None else inner(value)


def _choice(order: tuple[Type, ...]) -> Project:
    tagged = tag_of(order)
    if tagged is not None:
        return _tagged(*tagged)
    projects = [checker(option).project for option in order]

    def project(value: Any) -> Any:
        for candidate in projects:
            try:
                return candidate(value)
            except Misfit:
                continue
        raise _fits_none(order, value)

    return project


def _tagged(name: str, options: dict[str, RecordType]) -> Project:
    shape = [(name, _enum(EnumType(tuple(sorted(options)))), False)]
    projects = {member: checker(option).project for member, option in options.items()}

    def project(value: Any) -> Any:
        try:
            chosen = projects[value[name]]
        except (KeyError, TypeError):
            chosen = projects[scalars.fields(value, shape)[name]]
        return chosen(value)

    return project


def _fits_none(order: tuple[Type, ...], value: Any) -> Misfit:
    misfit = expected(" or ".join(show(option) for option in order), value)
    if isinstance(value, dict):
        misfit.message = f"the object fits none of {', '.join(show(option) for option in order)}"
    return misfit
