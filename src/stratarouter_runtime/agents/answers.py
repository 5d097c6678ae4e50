"""What a model must answer with: the schema that is asked for, and what it said brought to the type.

Text needs no schema. A record is asked for as it is; anything else within `{"answer": …}`, since
endpoints force nothing but objects. Must never know: models, or how one is asked.
"""

from __future__ import annotations

import json
from typing import Any, Final

from stratarouter_runtime.tcfp.json_schema import to_schema
from stratarouter_runtime.tcfp.types import Primitive, RecordType, Type
from stratarouter_runtime.tcfp.values import Misfit, checker, to_json

_WRAPPED: Final = "answer"


def is_text(type_: Type) -> bool:
    """Whether an answer of this type is what the model says, as it is."""
    return isinstance(type_, Primitive) and type_.name == "string"


def answer_schema(type_: Type) -> dict[str, Any]:
    """The JSON Schema that an answer is forced into."""
    schema = plain_schema(type_)
    if isinstance(type_, RecordType):
        return schema
    return {
        "type": "object",
        "properties": {_WRAPPED: schema},
        "required": [_WRAPPED],
        "additionalProperties": False,
    }


def plain_schema(type_: Type) -> dict[str, Any]:
    """The schema of a type in what endpoints understand: every property required, no words of ours."""
    schema = _plain(to_schema(type_))
    return schema if isinstance(schema, dict) else {}


def is_strict(schema: Any) -> bool:
    """Whether an endpoint can force this: no object in it is open, and nothing in it is without a type."""
    if isinstance(schema, list):
        return all(is_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    parts += [schema["items"]] if "items" in schema else []
    return all(part not in (True, {}) and is_strict(part) for part in parts)


def read_answer(type_: Type, said: str) -> Any:
    """The output in its JSON form. Raises `Misfit` where what was said is no JSON or does not fit."""
    if is_text(type_):
        return said
    try:
        value = json.loads(said, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Misfit(f"no JSON: {error}") from None
    if not isinstance(type_, RecordType):
        if not isinstance(value, dict) or _WRAPPED not in value:
            raise Misfit(f'expected an object with "{_WRAPPED}"')
        value = value[_WRAPPED]
    return to_json(type_, checker(type_).project(value))


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(part) for key, part in schema.items() if not key.startswith("x-tcfp-")}
    if isinstance(plain.get("properties"), dict):
        plain["required"] = list(plain["properties"])
        plain.setdefault("additionalProperties", False)
    return plain


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
