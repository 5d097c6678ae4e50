from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from tests.unit.tcfp.values_of_types import types

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.tcfp.json_schema import from_schema, to_schema
from stratarouter_runtime.tcfp.relations import join, optional
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    DURATION,
    FILE,
    FLOAT,
    INT,
    JSON,
    NEVER,
    NULL,
    STRING,
    TIME,
    UNKNOWN,
    ListType,
    MapType,
    Ref,
    Type,
    enum,
    labelled,
    record,
)

PII = frozenset({"pii"})
TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


@given(types())
def test_a_type_comes_back_from_its_schema(type_: Type) -> None:
    for closed in (True, False):
        mapped = from_schema(to_schema(type_, closed=closed))
        assert mapped.type == type_
        assert mapped.leftovers == ()
        assert mapped.warnings == ()


@pytest.mark.parametrize(
    ("type_", "schema"),
    [
        (JSON, True),
        (NEVER, False),
        (UNKNOWN, True),
        (BYTES, {"type": "string", "contentEncoding": "base64"}),
        (enum(["a"]), {"type": "string", "const": "a"}),
        (enum(["b", "a"]), {"type": "string", "enum": ["a", "b"]}),
        (optional(TIME), {"anyOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]}),
        (labelled(JSON, PII), {"x-tcfp-labels": ["pii"]}),
        (labelled(NEVER, PII), {"not": {}, "x-tcfp-labels": ["pii"]}),
        (
            record({"a": labelled(STRING, PII), "b": optional(INT)}),
            {
                "type": "object",
                "properties": {
                    "a": {"type": "string", "x-tcfp-labels": ["pii"]},
                    "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                },
                "required": ["a"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_a_type_is_written_as_clients_expect(type_: Type, schema: Any) -> None:
    written = to_schema(type_)
    if isinstance(written, dict) and "anyOf" in written:
        written["anyOf"].sort(key=lambda option: option["type"])
    assert _sorted(written) == _sorted(schema)


def _sorted(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _sorted(part) for key, part in schema.items()}
    return sorted(map(repr, schema)) if isinstance(schema, list) else schema


def test_labels_of_a_nullable_field_stay_where_they_were() -> None:
    type_ = record({"a": labelled(optional(BOOL), PII), "b": optional(labelled(BOOL, PII))})
    assert from_schema(to_schema(type_)).type == type_


def test_records_that_are_taken_in_stay_open() -> None:
    schema = to_schema(record({"a": ListType(record({"b": INT}))}), closed=False)
    assert "additionalProperties" not in repr(schema)


@pytest.mark.parametrize("convert", [to_schema])
def test_a_name_has_no_schema(convert: Any) -> None:
    with pytest.raises(ValueError, match="Ticket has not been resolved"):
        convert(Ref("Ticket"))


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({}, JSON),
        ({"title": "t", "description": "d", "default": 1, "examples": []}, JSON),
        ({"type": ["string", "null"]}, optional(STRING)),
        ({"type": ["integer", "number"]}, FLOAT),
        ({"type": "object"}, MapType(JSON)),
        ({"type": "object", "additionalProperties": False}, record({})),
        ({"type": "object", "additionalProperties": NUMBER}, MapType(INT)),
        ({"type": "array"}, ListType(JSON)),
        ({"enum": ["b", "a", None]}, optional(enum(["a", "b"]))),
        ({"enum": [True, False]}, BOOL),
        ({"const": None}, NULL),
        ({"type": "string", "enum": ["a", 1]}, enum(["a"])),
        ({"type": "string", "format": "duration"}, DURATION),
        ({"x-tcfp-type": "file", "type": "object"}, FILE),
        ({"type": "object", "properties": {"a": TEXT}}, record({"a": optional(STRING)})),
        ({"not": {}}, NEVER),
        ({"allOf": [TEXT]}, STRING),
        ({"type": "string", "allOf": [{"enum": ["a", "b"]}]}, enum(["a", "b"])),
        ({"oneOf": [TEXT, NUMBER]}, join(STRING, INT)),
        ({"$defs": {"A/b": TEXT}, "type": "array", "items": {"$ref": "#/$defs/A~1b"}}, ListType(STRING)),
        ({"$defs": {"a b": TEXT}, "$ref": "#/$defs/a%20b"}, STRING),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "null"}, NULL),
    ],
)
def test_a_schema_that_a_type_says_wholly(schema: Any, type_: Type) -> None:
    mapped = from_schema(schema)
    assert mapped.type == type_
    assert mapped.leftovers == ()


def test_records_that_apply_together_are_one_record() -> None:
    base = {"type": "object", "properties": {"id": TEXT, "n": NUMBER}, "required": ["id"]}
    more = {"type": "object", "properties": {"n": NUMBER, "x": {"type": "boolean"}}, "required": ["n", "x"]}
    mapped = from_schema({"$defs": {"Base": base}, "allOf": [{"$ref": "#/$defs/Base"}, more]})
    assert mapped.type == record({"id": STRING, "n": INT, "x": BOOL})
    assert mapped.leftovers == ()


@pytest.mark.parametrize(
    ("schema", "type_", "leftovers"),
    [
        ({"type": "string", "pattern": "^a", "minLength": 2}, STRING, ["/minLength", "/pattern"]),
        ({"type": "string", "format": "email"}, STRING, ["/format"]),
        ({"type": "integer", "maximum": 5, "minLength": 3}, INT, ["/maximum"]),
        ({"pattern": "^a"}, JSON, ["/pattern"]),
        ({"properties": {"a": TEXT}}, JSON, ["/properties"]),
        ({"type": "array", "items": TEXT, "minItems": 1}, ListType(STRING), ["/minItems"]),
        (
            {"type": "array", "prefixItems": [TEXT], "items": TEXT},
            ListType(JSON),
            ["/items", "/prefixItems"],
        ),
        ({"enum": [1, 2]}, INT, ["/enum"]),
        ({"const": True}, BOOL, ["/const"]),
        ({"const": {"a": 1}}, MapType(JSON), ["/const"]),
        ({"enum": ["a"], "const": "a"}, enum(["a"]), ["/enum"]),
        ({"type": "object", "required": ["a"]}, MapType(JSON), ["/required"]),
        (
            {"type": "object", "properties": {"a": False, "b": TEXT}, "required": ["b"]},
            record({"b": STRING}),
            ["/properties/a"],
        ),
        (
            {"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT},
            record({"a": optional(STRING)}),
            ["/additionalProperties"],
        ),
        ({"type": "object", "patternProperties": {"a": TEXT}}, MapType(JSON), ["/patternProperties"]),
        ({"oneOf": [{"type": "number"}, NUMBER]}, FLOAT, ["/oneOf"]),
        ({"type": "string", "anyOf": [NUMBER, {"type": "null"}]}, STRING, ["/anyOf"]),
        ({"not": TEXT}, JSON, ["/not"]),
        ({"if": TEXT, "then": TEXT}, JSON, ["/if", "/then"]),
        ({"$dynamicRef": "#x"}, JSON, ["/$dynamicRef"]),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, JSON, ["/$schema"]),
    ],
)
def test_what_a_type_cannot_say_is_left_for_the_agent(schema: Any, type_: Type, leftovers: list[str]) -> None:
    mapped = from_schema(schema)
    assert mapped.type == type_
    assert sorted(mapped.leftovers) == leftovers


@pytest.mark.parametrize("reference", [{"$ref": "#"}, {"$ref": "#/$defs/Node"}, {"$ref": "#/$defs/Other"}])
def test_what_refers_to_itself_is_json_with_a_warning(reference: dict[str, Any]) -> None:
    schema = {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {"next": reference, "name": TEXT},
                "required": ["name"],
            },
            "Other": {"$ref": "#/$defs/Node"},
        },
    }
    mapped = from_schema(schema)
    assert mapped.type == record({"name": STRING, "next": JSON})
    assert [warning.code for warning in mapped.warnings] == ["W303"]
    assert "/$ref" in mapped.warnings[0].pointer


@pytest.mark.parametrize(
    ("schema", "pointer", "message"),
    [
        (5, "", "a schema is an object"),
        ({"type": "text"}, "/type", "'text' is no type"),
        ({"type": "array", "items": []}, "/items", "a schema is an object"),
        ({"type": "object", "properties": []}, "/properties", "properties is an object"),
        ({"anyOf": {}}, "/anyOf", "anyOf is a list"),
        ({"$ref": 1}, "/$ref", "a reference is text"),
        ({"$ref": "https://example.com/schema"}, "/$ref", "leaves the document"),
        ({"$ref": "#/$defs/None"}, "/$ref", "there is no /$defs/None"),
        ({"$ref": "#/a/5", "a": []}, "/$ref", "there is no /a/5"),
        ({"$ref": "#/a", "a": {"$id": "x", "type": "null"}}, "/$ref", "nested $id"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(schema: Any, pointer: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        from_schema(schema)
    assert refused.value.pointer == pointer
    assert message in refused.value.message


def test_a_schema_that_runs_away_is_refused() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"items": deep}
    with pytest.raises(InvalidInput, match="deeper"):
        from_schema(deep)
    doubled = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    with pytest.raises(InvalidInput, match="more than 10000"):
        from_schema({"$ref": "#/$defs/d0", "$defs": {**doubled, "d30": {}}})


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (TEXT, NUMBER, True),
        ({"type": "null"}, {"type": "boolean"}, True),
        ({"type": "array"}, {"type": "object"}, True),
        ({"enum": ["a"]}, {"enum": ["b"]}, True),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, False),
        ({"enum": ["a"]}, TEXT, False),
        (TEXT, {"type": "string", "format": "date-time"}, False),
        (NUMBER, {"type": "number"}, False),
        ({"type": "object"}, {"x-tcfp-type": "file"}, False),
        (True, TEXT, False),
        (False, TEXT, True),
    ],
)
def test_exactly_one_is_at_most_one_where_kinds_differ(one: Any, other: Any, apart: bool) -> None:  # noqa: FBT001 - a column of the table
    assert (from_schema({"oneOf": [one, other]}).leftovers == ()) == apart


@pytest.mark.parametrize(
    ("parts", "type_", "leftovers"),
    [
        ([{"type": "object"}, {"type": "object", "properties": {}}], record({}), ()),
        ([True, TEXT], STRING, ()),
        ([TEXT, False], NEVER, ()),
        ([{"type": ["string", "null"]}, TEXT], STRING, ()),
        ([TEXT, NUMBER], STRING, ("/allOf/1",)),
        (
            [
                {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
                {"type": "object", "properties": {"a": NUMBER}, "required": ["a"]},
            ],
            record({"a": STRING}),
            ("/allOf/1",),
        ),
    ],
)
def test_what_applies_together_is_the_narrower(
    parts: list[Any], type_: Type, leftovers: tuple[str, ...]
) -> None:
    mapped = from_schema({"allOf": parts})
    assert (mapped.type, mapped.leftovers) == (type_, leftovers)


@pytest.mark.parametrize(
    ("constant", "type_"),
    [(1, INT), (1.5, FLOAT), ([], ListType(JSON)), ({}, MapType(JSON)), (True, BOOL)],
)
def test_a_constant_that_no_enum_holds_is_of_its_kind(constant: Any, type_: Type) -> None:
    for words in (["integer", "number", "array", "object", "boolean"], None):
        schema = {"const": constant} if words is None else {"const": constant, "type": words}
        assert (from_schema(schema).type, from_schema(schema).leftovers) == (type_, ("/const",))


def test_a_tag_keeps_records_apart() -> None:
    def tagged(tag: str) -> Any:
        return {"type": "object", "properties": {"kind": {"const": tag}}, "required": ["kind"]}

    assert from_schema({"oneOf": [tagged("a"), tagged("b")]}).leftovers == ()
    assert from_schema({"oneOf": [tagged("a"), tagged("a")]}).leftovers == ("/oneOf",)
