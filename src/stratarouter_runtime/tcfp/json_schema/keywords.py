"""The vocabulary of JSON Schema 2020-12, sorted by what a type can make of each keyword.

Must never know schemas as wholes.
"""

from __future__ import annotations

from typing import Any, Final

from stratarouter_runtime.tcfp.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NULL,
    STRING,
    ListType,
    MapType,
    Type,
)

KINDS: Final[dict[str, Type]] = {
    "null": NULL,
    "boolean": BOOL,
    "integer": INT,
    "number": FLOAT,
    "string": STRING,
    "array": ListType(JSON),
    "object": MapType(JSON),
}
"""The words of `type`, and the widest type of each."""

LIMITING: Final[dict[str, tuple[str, ...]]] = {
    "null": (),
    "boolean": (),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength", "pattern", "format", "contentEncoding"),
    "array": (
        *("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "unevaluatedItems"),
        *("contains", "minContains", "maxContains"),
    ),
    "object": (
        *("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
        *("minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "dependencies"),
        "unevaluatedProperties",
    ),
}
"""The keywords that say something about values of one kind, and nothing about others."""

ALWAYS_LEFT: Final = (
    *("not", "if", "then", "else", "$dynamicRef", "$recursiveRef", "$vocabulary"),
    *("dependentSchemas", "unevaluatedItems", "unevaluatedProperties"),
)
"""Keywords beyond types, whatever the kind of value."""

DIALECTS: Final = (
    "json-schema.org/draft/2020-12/schema",
    "json-schema.org/draft/2019-09/schema",
)
"""The dialects in which every keyword read here means the same."""


def is_kind(value: Any, word: str) -> bool:
    """Whether a constant is of the `type` of this word; 1.0 is an integer."""
    if word == "integer":
        return not isinstance(value, bool) and isinstance(value, int | float) and value == int(value)
    if word == "number":
        return not isinstance(value, bool) and isinstance(value, int | float)
    classes = {"null": type(None), "boolean": bool, "string": str, "array": list, "object": dict}
    return isinstance(value, classes[word])


def type_of_constant(value: Any) -> Type:
    """The type of a constant that no enum can hold: as narrow as a kind of value goes."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
        case str():
            return STRING
        case list():
            return KINDS["array"]
        case _:
            return KINDS["object"]
