from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stratarouter_runtime.tcfp import types
from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.text import read_text
from stratarouter_runtime.tcfp.type_syntax import read_type, type_text, write_type
from stratarouter_runtime.tcfp.types import (
    BOOL,
    FILE,
    FLOAT,
    INT,
    JSON,
    NULL,
    PRIMITIVES,
    STRING,
    UNKNOWN,
    EnumType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Ref,
    Type,
    UnionType,
)
from stratarouter_runtime.tcfp.writer import strip

PII = frozenset({"pii"})


def read(source: str) -> tuple[Type, list[tuple[str, int, int]]]:
    """The type that stands alone in a document, and the diagnostics."""
    diagnostics = Diagnostics()
    document = read_text(source)
    assert document.root is not None, document.diagnostics
    type_ = read_type(document.root, diagnostics)
    return type_, [(one.code, one.line, one.column) for one in diagnostics.sorted()]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        *((name, Primitive(name)) for name in PRIMITIVES),
        ("~", NULL),
        ("list<int>", ListType(INT)),
        ("map<list<float>>", MapType(ListType(FLOAT))),
        ("list < int >", ListType(INT)),
        ("string?", UnionType((STRING, NULL))),
        ("string ?", UnionType((STRING, NULL))),
        ("list<int?>?", UnionType((ListType(UnionType((INT, NULL))), NULL))),
        ("int | string", UnionType((INT, STRING))),
        ("int | string | bool", UnionType((INT, STRING, BOOL))),
        ("int | string?", UnionType((INT, STRING, NULL))),
        ("(int | string)?", UnionType((INT, STRING, NULL))),
        ("int??", UnionType((INT, NULL))),
        ("string @pii", Primitive("string", PII)),
        ("string @pii @secret", Primitive("string", PII | {"secret"})),
        ("string @pii?", UnionType((Primitive("string", PII), NULL))),
        ("string? @pii", UnionType((STRING, NULL), PII)),
        ("(int | file) @pii", UnionType((INT, FILE), PII)),
        ("list<string @pii>", ListType(Primitive("string", PII))),
        ("Doc", Ref("Doc", 1, 1)),
        ("list<Doc>", ListType(Ref("Doc", 1, 6))),
        ("int | Doc @pii", UnionType((INT, Ref("Doc", 1, 7, PII)))),
        ("[b, a]", EnumType(("a", "b"))),
        ("['1', \"true\", yes]", EnumType(("1", "true", "yes"))),
        ("{b: int, a: {c: [x]}}", RecordType((("a", RecordType((("c", EnumType(("x",))),))), ("b", INT)))),
        ("{}", RecordType(())),
        ("{lang: string?}", RecordType((("lang", UnionType((STRING, NULL))),))),
        ("{x: null}", RecordType((("x", NULL),))),
        ("'[a, \"b c\"] @pii'", EnumType(("a", "b c"), PII)),
        (
            "'list<{a: int, \"b c\": [x, y]}>'",
            ListType(RecordType((("a", INT), ("b c", EnumType(("x", "y")))))),
        ),
        ("json | lst", UnionType((JSON, Ref("lst", 1, 8)))),
    ],
)
def test_types(source: str, expected: Type) -> None:
    assert read(source) == (expected, [])


@pytest.mark.parametrize(
    ("source", "code", "column"),
    [
        ("12", "E120", 1),
        ("true", "E120", 1),
        ("string string", "E121", 8),
        ("list<int", "E121", 9),
        ("list<int>>", "E121", 10),
        ("list<>", "E121", 6),
        ("'|'", "E121", 2),
        ("int |", "E121", 6),
        ("'int | | string'", "E121", 8),
        ("(int", "E121", 5),
        ("int%", "E121", 4),
        ("''", "E121", 2),
        ("int @", "E121", 5),
        ("'[a b]'", "E121", 5),
        ("'[a, <]'", "E121", 6),
        ("'{a int}'", "E121", 5),
        ("'{a: int,}'", "E121", 10),
        ("'{\"\\x\": int}'", "E121", 3),
        ("'\"a\"'", "E121", 2),
        ("list", "E122", 5),
        ("int | map", "E122", 10),
        ("[]", "E123", 1),
        ("'[]'", "E123", 3),
        ("[a, 1]", "E124", 5),
        ("[a, true]", "E124", 5),
        ("[a, ~]", "E124", 5),
        ("[a, [b]]", "E124", 5),
        ("[a, b, a]", "E125", 8),
        ("'{a: int, a: int}'", "E125", 12),
        ("list<" * 40, "E126", 161),
    ],
)
def test_mistakes(source: str, code: str, column: int) -> None:
    _, found = read(source)
    assert found == [(code, 1, column)]


def test_every_mistake_in_a_record_is_reported() -> None:
    type_, found = read("{a: [], b: list<, c: int, d: 7}")
    assert [code for code, _, _ in found] == ["E123", "E121", "E120"]
    assert type_ == RecordType((("a", UNKNOWN), ("b", UNKNOWN), ("c", INT), ("d", UNKNOWN)))


def test_the_place_of_a_name_in_quoted_and_block_text() -> None:
    assert read("'list<Doc>'")[0] == ListType(Ref("Doc", 1, 7))
    assert read("|\n  list<Doc>")[0] == ListType(Ref("Doc", 2, 8))


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (STRING, "string"),
        (types.enum(["b", "a"]), ["a", "b"]),
        (types.record({"b": INT, "a": types.enum(["x"])}), {"a": ["x"], "b": "int"}),
        (ListType(types.record({"a b": types.enum(["x", "1"])})), 'list<{"a b": ["1", x]}>'),
        (UnionType((STRING, NULL)), "string?"),
        (UnionType((NULL, STRING)), "null | string"),
        (UnionType((INT, STRING, NULL)), "int | string | null"),
        (UnionType((STRING, NULL), PII), "(string?) @pii"),
        (RecordType((("a", INT),), PII), "{a: int} @pii"),
        (EnumType(("a",), PII), "[a] @pii"),
        (Ref("Doc", 3, 4, PII), "Doc @pii"),
        (NULL, "null"),
    ],
)
def test_how_types_are_written(type_: Type, expected: Any) -> None:
    assert write_type(type_) == expected


def test_a_type_in_error_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="in error"):
        type_text(UNKNOWN)


WORDS = st.sampled_from(["a", "b", "Doc", "list", "null", "x-y", "1", "", 'q"', "é", "two words", "a\\"])
LABELS = st.frozensets(st.sampled_from(["pii", "secret", "own.label-2"]), max_size=2)
LEAVES = (
    st.builds(Primitive, st.sampled_from(PRIMITIVES), LABELS)
    | st.builds(Ref, st.sampled_from(["Doc", "Ticket_2"]), labels=LABELS)
    | st.builds(
        lambda members, labels: EnumType(tuple(sorted(members)), labels), st.sets(WORDS, min_size=1), LABELS
    )
)


def _wider(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    union = st.lists(inner, min_size=2, max_size=3, unique=True).filter(
        lambda options: not any(isinstance(option, UnionType) for option in options)
    )
    return (
        st.builds(ListType, inner, LABELS)
        | st.builds(MapType, inner, LABELS)
        | st.builds(
            lambda fields, labels: RecordType(tuple(sorted(fields.items())), labels),
            st.dictionaries(WORDS, inner, max_size=3),
            LABELS,
        )
        | st.builds(lambda options, labels: UnionType(tuple(options), labels), union, LABELS)
    )


TYPES = st.recursive(LEAVES, _wider, max_leaves=8)


@given(TYPES)
@example(UnionType((UnionType((INT, NULL), PII), STRING)))
def test_what_is_written_reads_back(type_: Type) -> None:
    source = json.dumps({"t": write_type(type_)})
    root = read_text(source, kind="json").root
    assert root is not None
    diagnostics = Diagnostics()
    read_back = read_type(root, diagnostics)
    assert diagnostics.sorted() == ()
    assert strip(read_back) == RecordType((("t", type_),))


@given(
    st.text(max_size=20)
    | st.lists(st.sampled_from([*"<>?|@,:()[]{} \"'", "list", "int", "Doc"])).map(" ".join)
)
def test_type_text_never_raises(text: str) -> None:
    diagnostics = Diagnostics()
    root = read_text(json.dumps([{"t": text}]), kind="json").root
    if root is not None:
        read_type(root, diagnostics)
        assert all(one.code.startswith("E12") for one in diagnostics.sorted())
