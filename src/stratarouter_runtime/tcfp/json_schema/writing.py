"""Types to JSON Schema 2020-12. Must never know how a schema is read back."""

from __future__ import annotations

from typing import Any, Final

from stratarouter_runtime.tcfp.relations import nullable
from stratarouter_runtime.tcfp.types import (
    EnumType,
    ListType,
    MapType,
    Primitive,
    PrimitiveName,
    RecordType,
    Ref,
    Type,
    UnionType,
    UnknownType,
)

LABELS: Final = "x-tcfp-labels"
"""The keyword that carries the labels of a type."""

TYPE: Final = "x-tcfp-type"
"""The keyword that tells a file from a record of the same fields."""

_PRIMITIVES: Final[dict[PrimitiveName, dict[str, Any]]] = {
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "string": {"type": "string"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "time": {"type": "string", "format": "date-time"},
    "duration": {"type": "string", "format": "duration"},
    "file": {
        TYPE: "file",
        "type": "object",
        "properties": {
            "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "media": {"type": "string"},
            "size": {"type": "integer", "minimum": 0},
        },
        "required": ["digest", "media", "size"],
    },
    "null": {"type": "null"},
}


def to_schema(type_: Type, *, closed: bool = True) -> dict[str, Any] | bool:
    """The schema of a resolved type; `closed` records refuse further properties.

    Close what is given out, and leave open what is taken in, where projection drops the rest.
    A nullable field is not required. Raises ValueError for a `Ref`.
    """
    schema = _schema(type_, closed)
    if not type_.labels:
        return schema
    stated = schema if isinstance(schema, dict) else {} if schema else {"not": {}}
    return {**stated, LABELS: sorted(type_.labels)}


def _schema(type_: Type, closed: bool) -> dict[str, Any] | bool:  # noqa: C901, FBT001 - one case a kind of type; private
    match type_:
        case Primitive():
            return _primitive(type_.name)
        case EnumType():
            return _enum(type_.members)
        case ListType():
            return {"type": "array", "items": to_schema(type_.item, closed=closed)}
        case MapType():
            return {"type": "object", "additionalProperties": to_schema(type_.value, closed=closed)}
        case RecordType():
            return _record(type_, closed=closed)
        case UnionType():
            return {"anyOf": [to_schema(option, closed=closed) for option in type_.options]}
        case UnknownType():
            return True
        case Ref():
            raise ValueError(f"the type {type_.name} has not been resolved")


def _primitive(name: PrimitiveName) -> dict[str, Any] | bool:
    if name in {"json", "never"}:
        return name == "json"
    return dict(_PRIMITIVES[name])


def _enum(members: tuple[str, ...]) -> dict[str, Any]:
    if len(members) == 1:
        return {"type": "string", "const": members[0]}
    return {"type": "string", "enum": list(members)}


def _record(type_: RecordType, *, closed: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: to_schema(of, closed=closed) for name, of in type_.fields},
    }
    required = [name for name, of in type_.fields if not nullable(of)]
    if required:
        schema["required"] = required
    if closed:
        schema["additionalProperties"] = False
    return schema
