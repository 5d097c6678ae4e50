"""The types of fields and elements: `.name` and `[key]`.

Must never know operators, functions or scopes.
"""

from __future__ import annotations

from typing import Final

from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.checked import (
    Apply,
    Constant,
    Recording,
    Select,
    Typed,
    unreachable,
)
from stratarouter_runtime.tcfp.expressions.kinds import kinds
from stratarouter_runtime.tcfp.expressions.reporting import Reporter
from stratarouter_runtime.tcfp.relations import join, labels_of, options_of
from stratarouter_runtime.tcfp.types import (
    INT,
    STRING,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Type,
    labelled,
    record,
    show,
)

_FILE: Final = record({"digest": STRING, "size": INT, "media": STRING})
CONVERT: Final = "convert it first: a let step with type:"


def select(type_: Type, name: str) -> Type | None:
    """The type of field `name` of a record, or of a union of records that all have it; else None."""
    found: list[Type] = []
    for option in options_of(type_):
        fields = _FILE if isinstance(option, Primitive) and option.name == "file" else option
        field = fields.field(name) if isinstance(fields, RecordType) else None
        if field is None:
            return None
        found.append(labelled(field, option.labels))
    return join(*found)


def elements(type_: Type) -> Type | None:
    """The type of the elements of a list, or of a union of lists; else None."""
    found = [labelled(of.item, of.labels) for of in options_of(type_) if isinstance(of, ListType)]
    return join(*found) if len(found) == len(options_of(type_)) else None


def values(type_: Type) -> Type | None:
    """The type of the values of a map, or of a union of maps; else None."""
    found = [labelled(of.value, of.labels) for of in options_of(type_) if isinstance(of, MapType)]
    return join(*found) if len(found) == len(options_of(type_)) else None


def as_map(typed: Typed) -> Typed:
    """A written record as the map it is where one is needed; anything else as it is."""
    if isinstance(typed, Recording) and isinstance(typed.type, RecordType):
        return Recording(typed.fields, MapType(join(*(of.type for _, of in typed.fields))))
    if isinstance(typed, Constant) and isinstance(typed.type, RecordType):
        return Constant(typed.value, MapType(join(*(of for _, of in typed.type.fields))))
    return typed


def check_field(report: Reporter, node: syntax.Field, target: Typed) -> Typed:
    """`target.name`."""
    stop = unreachable(target) or report.no_null(node.offset, ((node.target, target),))
    if stop:
        return stop
    type_ = select(target.type, node.name)
    if type_ is not None:
        return Select(target, node.name, type_)
    value = values(target.type)
    if value is not None:
        return Apply("get", (target, Constant(node.name, STRING)), value)
    return _no_field(report, node.name, node.offset, target.type)


def _no_field(report: Reporter, name: str, offset: int, type_: Type) -> Typed:
    names = [
        field for option in options_of(type_) if isinstance(option, RecordType) for field, _ in option.fields
    ]
    if name in names:
        hint = "not every record of the union has it: match on what tells them apart first"
    else:
        hint = CONVERT if "json" in kinds(type_) else did_you_mean(name, names)
    return report.add("E211", offset, f"no field '{name}' in {show(type_)}", hint)


def check_index(report: Reporter, node: syntax.Index, target: Typed, key: Typed) -> Typed:
    """`target[key]`: an element of a list, a value of a map, or a field named by a literal."""
    stop = unreachable(target, key) or report.no_null(node.offset, ((node.target, target),))
    if stop:
        return stop
    if isinstance(key, Constant) and isinstance(key.value, str):
        field = select(target.type, key.value)
        if field is not None:
            return Select(target, key.value, field)
    target = as_map(target)
    for found, wanted, function in (
        (elements(target.type), "int", "at"),
        (values(target.type), "string", "get"),
    ):
        if found is not None:
            if kinds(key.type) != {wanted}:
                return report.add("E213", node.key.offset, f"the key must be {wanted}, not {show(key.type)}")
            return Apply(function, (target, key), labelled(found, labels_of(key.type)))
    if isinstance(key, Constant) and isinstance(key.value, str):
        return _no_field(report, key.value, node.key.offset, target.type)
    return report.add(
        "E215", node.offset, f"{show(target.type)} is neither list nor map", _index_hint(target.type)
    )


def _index_hint(type_: Type) -> str:
    if kinds(type_) == {"record"}:
        return "a field is named by a literal: r.name"
    return CONVERT if "json" in kinds(type_) else ""
