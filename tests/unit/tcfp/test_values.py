from __future__ import annotations

import copy
import json
import math
from collections import OrderedDict
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.tcfp.values_of_types import typed_values

from stratarouter_runtime.canonical import canonical, digest
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
from stratarouter_runtime.tcfp.values import Misfit, canonical_value, checker, redact, to_json

PII = frozenset({"pii"})
TICKET = record({"id": STRING, "body": labelled(STRING, PII), "lang": optional(STRING), "score": FLOAT})
CARD = record({"kind": enum(["card"]), "number": INT})
CASH = record({"kind": enum(["cash"]), "note": optional(STRING)})
HASH = "0" * 64


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("type_", "value", "projected"),
    [
        (BOOL, True, True),
        (INT, 2**53 - 1, 2**53 - 1),
        (INT, Number.ONE, 1),
        (FLOAT, 1, 1.0),
        (FLOAT, 10**20, 1e20),
        (STRING, "größe", "größe"),
        (STRING, Colour.RED, "red"),
        (enum(["red"]), Colour.RED, "red"),
        (BYTES, "aGk=", b"hi"),
        (BYTES, bytearray(b"hi"), b"hi"),
        (TIME, "2026-03-01T09:30:00+01:00", "2026-03-01T08:30:00.000000Z"),
        (DURATION, "1m", "PT60S"),
        (NULL, None, None),
        (FILE, {"digest": HASH, "size": 1, "media": "a/b"}, {"digest": HASH, "media": "a/b", "size": 1}),
        (JSON, {"b": [1, None, True], "a": 1e20}, {"a": 1e20, "b": [1, None, True]}),
        (JSON, 10**20, 1e20),
        (JSON, -54423846420468700, -5.44238464204687e16),
        (JSON, 2**53, 2.0**53),
        (UNKNOWN, {"x": 1}, {"x": 1}),
        (ListType(FLOAT), (1, 2.5), [1.0, 2.5]),
        (MapType(FLOAT), OrderedDict(b=1, a=2), {"a": 2.0, "b": 1.0}),
        (TICKET, {"id": "1", "body": "b", "score": 1, "more": 2}, {"body": "b", "id": "1", "lang": None, "score": 1.0}),
        (record({"any": JSON}), {}, {"any": None}),
    ],
)  # fmt: skip
def test_a_value_is_brought_to_its_type(type_: Type, value: Any, projected: Any) -> None:
    found = checker(type_).project(value)
    assert found == projected
    assert type(found) is type(projected)
    assert json.dumps(found, default=repr) == json.dumps(projected, default=repr)


@pytest.mark.parametrize(
    ("type_", "value", "pointer", "message", "hint"),
    [
        (BOOL, 1, "", "expected bool, found int", ""),
        (INT, True, "", "expected int, found bool", ""),
        (INT, 1.0, "", "expected int, found float", "1, not 1.0"),
        (INT, 1.5, "", "expected int, found float", ""),
        (INT, 2**53, "", "beyond", "string"),
        (FLOAT, math.nan, "", "finite", "null"),
        (FLOAT, True, "", "expected float, found bool", ""),
        (FLOAT, 10**400, "", "too large", ""),
        (STRING, 1, "", "expected string, found int", ""),
        (STRING, "\ud800", "", "surrogate", ""),
        (BYTES, "no base64", "", "not base64", "padding"),
        (BYTES, 1, "", "expected bytes", ""),
        (TIME, "2026-03-01", "", "not a time", ""),
        (TIME, 5, "", "expected time", ""),
        (DURATION, "P1Y", "", "not a duration: years", ""),
        (NULL, 0, "", "expected null, found int", ""),
        (NEVER, 0, "", "no value at all", ""),
        (FILE, {"digest": "x", "size": 1, "media": ""}, "/digest", "64 lower-case", ""),
        (FILE, {"digest": HASH, "size": -1, "media": ""}, "/size", "not negative", ""),
        (JSON, object(), "", "expected a JSON value, found a Python object", ""),
        (JSON, {"a": [b""]}, "/a/0", "expected a JSON value, found bytes", ""),
        (JSON, {1: 2}, "", "keys of an object are strings, found int", ""),
        (JSON, [2**53 + 1], "/0", "beyond", "string"),
        (enum(["high", "low"]), "hihg", "", "expected one of [high, low], found 'hihg'", "'high'"),
        (enum(["high"]), 1, "", "expected one of [high], found int", ""),
        (enum(["high"]), [], "", "expected one of [high], found list", ""),
        (labelled(enum(["high"]), PII), "secret", "", "found another string", ""),
        (ListType(INT), "12", "", "expected list, found string", ""),
        (ListType(INT), [1, "x"], "/1", "expected int", ""),
        (MapType(INT), {"a/b": "x"}, "/a~1b", "expected int", ""),
        (MapType(INT), [], "", "expected map, found list", ""),
        (TICKET, {"id": "1", "bdy": "b", "score": 1}, "/body", "missing", "is 'bdy' meant to be 'body'?"),
        (TICKET, {"id": None, "body": "b", "score": 1}, "/id", "expected string, found null", ""),
        (TICKET, [], "", "expected record, found list", ""),
        (join(INT, STRING), [], "", "expected int or string, found list", ""),
        (join(CARD, CASH), {"kind": "gold"}, "/kind", "found 'gold'", ""),
        (join(CARD, CASH), {"kind": "card"}, "/number", "missing", ""),
        (join(record({"a": INT}), record({"b": INT})), {}, "", "fits none of", ""),
    ],
)
def test_a_misfit_says_where_and_why(type_: Type, value: Any, pointer: str, message: str, hint: str) -> None:
    with pytest.raises(Misfit) as caught:
        checker(type_).project(value)
    assert caught.value.pointer == pointer
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("options", "value", "projected"),
    [
        ((INT, FLOAT), 1, 1.0),
        ((INT, STRING), 1, 1),
        ((FLOAT, STRING), 1, 1.0),
        ((BYTES, STRING), "aGk=", "aGk="),
        ((BYTES, STRING), b"hi", b"hi"),
        ((TIME, enum(["never"])), "never", "never"),
        ((TIME, enum(["never"])), "2026-03-01T00:00:00Z", "2026-03-01T00:00:00.000000Z"),
        ((CARD, CASH), {"kind": "cash", "number": 1}, {"kind": "cash", "note": None}),
        ((record({"a": INT}), record({"a": INT, "b": INT})), {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ((record({"a": INT}), MapType(INT)), {"b": 2}, {"b": 2}),
        ((CARD, NULL), None, None),
        ((CARD, NULL), {"kind": "card", "number": 1}, {"kind": "card", "number": 1}),
    ],
)
def test_a_union_takes_the_first_option_that_fits(
    options: tuple[Type, ...], value: Any, projected: Any
) -> None:
    for order in (options, options[::-1]):
        assert checker(join(*order)).project(value) == projected


def test_a_json_value_nests_64_deep_and_no_deeper() -> None:
    value: Any = 0
    for _ in range(64):
        value = [value]
    assert checker(JSON).project(value) == value
    with pytest.raises(Misfit, match="deeper than 64"):
        checker(JSON).project([value])


def test_an_unresolved_name_is_the_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="Ticket has not been resolved"):
        checker(Ref("Ticket"))


def test_a_type_is_compiled_once() -> None:
    assert checker(record({"a": INT})) is checker(record({"a": INT}))


@given(typed_values())
def test_projection_is_stable_and_touches_nothing(pair: tuple[Type, Any]) -> None:
    type_, value = pair
    before = copy.deepcopy(value)
    once = checker(type_).project(value)
    assert value == before
    assert canonical_value(type_, checker(type_).project(once)) == canonical_value(type_, once)


@given(typed_values())
def test_a_value_survives_its_json_form(pair: tuple[Type, Any]) -> None:
    type_, value = pair
    once = checker(type_).project(value)
    written = canonical(to_json(type_, once))
    again = checker(type_).project(json.loads(written))
    assert canonical(to_json(type_, again)) == written


def test_a_type_without_bytes_is_its_own_json_form() -> None:
    value = checker(TICKET).project({"id": "1", "body": "b", "score": 1})
    assert to_json(TICKET, value) is value


def test_bytes_become_base64_wherever_they_stand() -> None:
    type_ = record({"a": ListType(BYTES), "b": MapType(optional(BYTES)), "c": join(BYTES, INT), "d": INT})
    value = {"a": [b"hi"], "b": {"x": b"", "y": None}, "c": b"hi", "d": 1}
    expected = {"a": ["aGk="], "b": {"x": "", "y": None}, "c": "aGk=", "d": 1}
    assert to_json(type_, checker(type_).project(value)) == expected


def test_a_nullable_field_more_changes_no_canonical_value() -> None:
    old = record({"id": STRING, "tags": ListType(CASH)})
    new = record(
        {"id": STRING, "tags": ListType(record({**dict(CASH.fields), "at": optional(TIME)})), "x": JSON}
    )
    value = {"id": "1", "tags": [{"kind": "cash"}]}
    digests = {digest(canonical_value(type_, checker(type_).project(value))) for type_ in (old, new)}
    assert len(digests) == 1


def test_nulls_that_are_data_stay_in_the_canonical_value() -> None:
    type_ = record({"list": ListType(optional(INT)), "map": MapType(optional(INT)), "any": JSON})
    value = {"list": [None], "map": {"a": None}, "any": {"b": None}}
    assert canonical_value(type_, checker(type_).project(value)) == value


def test_labelled_parts_are_redacted_and_nothing_else() -> None:
    type_ = record({"ticket": optional(TICKET), "blob": BYTES, "all": ListType(labelled(INT, PII))})
    value = {"ticket": {"id": "1", "body": "private", "score": 1}, "blob": b"hi", "all": [1]}
    shown = redact(type_, checker(type_).project(value))
    assert shown["ticket"] == {"id": "1", "body": "[redacted: pii]", "lang": None, "score": 1.0}
    assert shown["blob"] == "aGk="
    assert shown["all"] == ["[redacted: pii]"]


def test_a_union_is_redacted_by_the_option_that_a_value_belongs_to() -> None:
    type_ = join(record({"kind": enum(["a"]), "x": labelled(STRING, PII)}), CASH)
    for value, shown in (
        ({"kind": "a", "x": "private"}, {"kind": "a", "x": "[redacted: pii]"}),
        ({"kind": "cash", "note": "n"}, {"kind": "cash", "note": "n"}),
    ):
        assert redact(type_, checker(type_).project(value)) == shown


@given(st.text())
def test_a_misfit_never_repeats_a_labelled_value(text: str) -> None:
    secret = f"<<{text}>>"
    type_ = record({"a": labelled(enum(["x"]), PII)})
    with pytest.raises(Misfit) as caught:
        checker(type_).project({"a": secret})
    assert secret not in caught.value.message + caught.value.hint


def test_a_misfit_under_a_key_that_is_no_text_can_be_written_down() -> None:
    with pytest.raises(Misfit) as caught:
        checker(MapType(INT)).project({"\ud800": 1})
    assert str(caught.value).encode().startswith(b"/\\ud800: the string holds half")
