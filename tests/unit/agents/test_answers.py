from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.agents.answers import answer_schema, is_strict, is_text, read_answer
from stratarouter_runtime.tcfp.relations import join
from stratarouter_runtime.tcfp.scalars import Misfit
from stratarouter_runtime.tcfp.types import (
    FLOAT,
    INT,
    JSON,
    NULL,
    STRING,
    ListType,
    MapType,
    Type,
    enum,
    labelled,
    record,
)

REPLY = record({"text": STRING, "score": join(FLOAT, NULL)})


def test_a_record_is_asked_for_as_it_is_with_every_property_required() -> None:
    assert answer_schema(REPLY) == {
        "type": "object",
        "properties": {
            "score": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "text": {"type": "string"},
        },
        "required": ["score", "text"],
        "additionalProperties": False,
    }


def test_anything_else_is_asked_for_within_an_object() -> None:
    assert answer_schema(labelled(enum(["a", "b"]), frozenset({"pii"}))) == {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": ["a", "b"]}},
        "required": ["answer"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("type_", "strict"),
    [
        (REPLY, True),
        (ListType(REPLY), True),
        (INT, True),
        (MapType(INT), False),
        (record({"a": JSON}), False),
        (record({"a": ListType(JSON)}), False),
        (record({"a": join(MapType(INT), NULL)}), False),
    ],
)
def test_only_what_is_closed_all_through_can_be_forced(type_: Type, strict: bool) -> None:  # noqa: FBT001 - a row of the table
    assert is_strict(answer_schema(type_)) is strict


@pytest.mark.parametrize(
    ("type_", "said", "output"),
    [
        (STRING, "as it is", "as it is"),
        (REPLY, '{"text": "a", "score": 1, "more": true}', {"score": 1.0, "text": "a"}),
        (REPLY, '{"text": "a"}', {"score": None, "text": "a"}),
        (INT, '{"answer": 3}', 3),
        (ListType(INT), '{"answer": [1]}', [1]),
    ],
)
def test_an_answer_is_brought_to_its_type(type_: Type, said: str, output: Any) -> None:
    assert read_answer(type_, said) == output
    assert is_text(type_) is (type_ == STRING)


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        (REPLY, ""),
        (REPLY, "```json\n{}\n```"),
        (REPLY, '{"text": 3}'),
        (REPLY, '{"text": "a", "score": NaN}'),
        (REPLY, "[" * 100_000),
        (INT, "3"),
        (INT, '{"answer": "3"}'),
    ],
)
def test_what_does_not_fit_is_a_misfit(type_: Type, said: str) -> None:
    with pytest.raises(Misfit):
        read_answer(type_, said)


@given(st.text())
def test_whatever_is_said_is_read_or_a_misfit(said: str) -> None:
    with suppress(Misfit):
        read_answer(REPLY, said)
