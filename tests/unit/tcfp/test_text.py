from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.tcfp.text import (
    MAX_BYTES,
    Broken,
    Kind,
    Mapping,
    Node,
    Scalar,
    Sequence,
    read_text,
)


def data(node: Node | None) -> Any:
    """The node as plain data."""
    match node:
        case Scalar():
            return node.data
        case Sequence():
            return [data(item) for item in node.items]
        case Mapping():
            return {entry.key: data(entry.value) for entry in node.entries}
        case _:
            return "broken"


def found(source: str | bytes, kind: Kind | None = None) -> list[tuple[str, int, int]]:
    return [(one.code, one.line, one.column) for one in read_text(source, kind=kind).diagnostics]


def value_of(source: str) -> Scalar:
    root = read_text(source).root
    assert isinstance(root, Mapping)
    value = root.entries[0].value
    assert isinstance(value, Scalar)
    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("Off", "Off"),
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("12", 12),
        ("+12", 12),
        ("-0", 0),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("'12'", "12"),
        ('"null"', "null"),
        ("9" * 5000, float("inf")),
        ("string?", "string?"),
    ],
)
def test_core_schema(text: str, expected: Any) -> None:
    value = value_of(f"k: {text}").data
    assert value == expected
    assert type(value) is type(expected)


def test_what_pythons_own_scanner_refuses_is_read() -> None:
    assert data(read_text("{lang: string?, of: [int?]}").root) == {"lang": "string?", "of": ["int?"]}


@pytest.mark.parametrize(
    ("source", "node", "text"),
    [
        ("key:  plain", (1, 7), (1, 7)),
        ("key: 'quoted'", (1, 6), (1, 7)),
        ('key: "quoted"', (1, 6), (1, 7)),
        ("key: |\n  block", (1, 6), (2, 3)),
        ("key: >-\n\n\n    block", (1, 6), (4, 5)),
        ('{"key": "json"}', (1, 9), (1, 10)),
        ('{\n "key":\n  12}', (3, 3), (3, 3)),
        ("é: ö", (1, 4), (1, 4)),
        ('{"😀": "x"}', (1, 7), (1, 8)),
    ],
)
def test_positions_of_a_node_and_of_its_text(
    source: str, node: tuple[int, int], text: tuple[int, int]
) -> None:
    value = value_of(source)
    assert (value.at.line, value.at.column) == node
    assert (value.line, value.column) == text


@pytest.mark.parametrize("source", ["a/b: [1, {c~d: 2}]\n", '{"a/b": [1, {"c~d": 2}]}\n'])
def test_every_node_has_its_pointer(source: str) -> None:
    places = read_text(source).places
    assert list(places) == ["", "/a~1b", "/a~1b/0", "/a~1b/1", "/a~1b/1/c~0d"]
    assert all(place.pointer == pointer and place.line == 1 for pointer, place in places.items())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a: &x 1", [("E115", 1, 4)]),
        ("a: &x {b: 1}", [("E115", 1, 4)]),
        ("a: *x", [("E116", 1, 4)]),
        ("a: &x 1\nb: *x", [("E115", 1, 4), ("E116", 2, 4)]),
        ("a: !t 1", [("E117", 1, 4)]),
        ("a: !!str 1", [("E117", 1, 4)]),
        ("<<: {b: 1}", [("E118", 1, 1)]),
        ("a: 1\n'a': 2", [("E109", 2, 1)]),
        ("a: 1\nb: {c: 1, c: 2}\na: 2", [("E109", 2, 11), ("E109", 3, 1)]),
        ("{ score float }", [("E136", 1, 3)]),
        ("{ a: { score float, b }, c: 1 }", [("E136", 1, 8), ("E136", 1, 21)]),
        ("{ 'a b' }", [("E136", 1, 3)]),
        ("{ a: =f(b, c) }", [("E104", 1, 6)]),
        ("? [a]\n: 1", [("E119", 1, 3)]),
        ("? {a: 1}\n: 1", [("E119", 1, 3)]),
        ("a: 1\n? \n: 2", [("E119", 2, 2)]),
        ("a: 1\n---\nb: 2", [("E108", 2, 1)]),
        ("", [("E103", 1, 1)]),
        (" \n\t\n", [("E103", 1, 1)]),
        ("# nothing", [("E103", 1, 1)]),
        ("---\n", [("E103", 2, 1)]),
        ("\ufeff", [("E103", 1, 1)]),
        (b"a: 1\nb: \xff", [("E105", 2, 4)]),
        ("a: \ud800", [("E105", 1, 4)]),
        ("a: b\n c: d", [("E102", 2, 3)]),
        ("a:\n\t- b", [("E102", 2, 1)]),
        ("a: 'b", [("E102", 1, 4)]),
        ("a: [1, 2", [("E102", 1, 4)]),
        ("a: {b: 1", [("E102", 1, 4)]),
        ("a: @b", [("E102", 1, 4)]),
        ('a: "\\q"', [("E102", 1, 5)]),
        ("a: \x07", [("E102", 1, 4)]),
        ("a:\n  - b\n c: d", [("E102", 3, 2)]),
        ("%TAG ! x\n%FOO\n---\na: 1", [("E102", 2, 5)]),
        ("[" * 100, [("E107", 1, 65)]),
    ],
)
def test_yaml_refuses(source: str | bytes, expected: list[tuple[str, int, int]]) -> None:
    assert found(source, "yaml") == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"a": 1, "a": 2}', [("E109", 1, 10)]),
        ('{"a": 1, "\\u0061": 2}', [("E109", 1, 10)]),
        ('{"a": 1,}', [("E102", 1, 9)]),
        ('{"a": [1,]}', [("E102", 1, 10)]),
        ('{"a" 1}', [("E102", 1, 6)]),
        ('{"a": 1 "b": 2}', [("E102", 1, 9)]),
        ("{a: 1}", [("E102", 1, 2)]),
        ('{"a": 01}', [("E102", 1, 8)]),
        ('{"a": +1}', [("E102", 1, 7)]),
        ('{"a": NaN}', [("E102", 1, 7)]),
        ('{"a": nul}', [("E102", 1, 7)]),
        ('{"a": "b', [("E102", 1, 7)]),
        ('{"a": "b\nc"}', [("E102", 1, 9)]),
        ('{"a": "\\x"}', [("E102", 1, 8)]),
        ('{"a": "\\ud800"}', [("E105", 1, 7)]),
        ('{"\\ud800": 1}', [("E105", 1, 2)]),
        ('{"a": 1}\n\n}', [("E102", 3, 1)]),
        ('{"a": 1', [("E102", 1, 8)]),
        ('{"a":', [("E102", 1, 6)]),
        ("{", [("E102", 1, 2)]),
        ("[" * 100_000, [("E107", 1, 65)]),
    ],
)
def test_json_refuses(source: str, expected: list[tuple[str, int, int]]) -> None:
    assert found(source, "json") == expected


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("if: =a ? b : c", (1, 5)),
        ('- x: 1\n  let: =x + "a: b"', (2, 8)),
        ('let: =f("a # b")', (1, 6)),
        ("with: { a: =f(x, y) }", (1, 12)),
        ("with: {a: =m ? 1 : 2}", (1, 11)),
        ("with: { a: =[1, 2] }", (1, 12)),
        ("with: [1, =x[0], 2]", (1, 11)),
        ("with: { x: =m.map(p, p.x) , y: 1 }", (1, 12)),
        ("- =a: b", (1, 3)),
        ("let: ={a: 1}", (1, 6)),
    ],
)
def test_an_expression_that_yaml_cuts_is_named(source: str, position: tuple[int, int]) -> None:
    diagnostics = read_text(source).diagnostics
    assert [(one.code, one.line, one.column) for one in diagnostics] == [("E104", *position)]
    assert diagnostics[0].hint == "quote the expression"


@pytest.mark.parametrize(
    "source",
    [
        "if: =a > 1  # a comment",
        'if: =a + "#" # a comment',
        "if: =f(a, b)",
        "if: =a[0]",
        "with: {a: =b.c, d: =e}",
        "with: {a: '=f(x, y)'}",
        "with: {a: =(b)}",
        "if: =f(  # left open, but not by YAML's doing",
        "if: ==literal",
    ],
)
def test_other_expressions_are_left_alone(source: str) -> None:
    codes = [code for code, _, _ in found(source)]
    assert codes in ([], ["E104"])
    assert codes == (["E104"] if "left open" in source else [])


def test_one_cut_expression_is_one_diagnostic_and_breaks_its_brackets() -> None:
    root = read_text("a: { x: =f(p, q), y: *z }\nb: 1").root
    assert isinstance(root, Mapping)
    assert isinstance(root.entries[0].value, Broken)
    assert data(root.entries[1].value) == 1


def test_reading_goes_on_after_what_is_not_allowed() -> None:
    document = read_text("a: &x 1\n<<: {b: 2}\nc: !t 3\na: 4\nd: 5")
    assert [one.code for one in document.diagnostics] == ["E115", "E118", "E117", "E109"]
    assert data(document.root) == {"a": 1, "c": "3", "d": 5}


def test_keys_are_their_text() -> None:
    assert data(read_text("true: 1\nnull: 2\n1: 3\n1.0: 4\n'<<': 5").root) == {
        "true": 1,
        "null": 2,
        "1": 3,
        "1.0": 4,
        "<<": 5,
    }


def test_size_is_bounded_in_bytes() -> None:
    fits = "a: " + "x" * (MAX_BYTES - 3)
    assert found(fits) == []
    assert found(fits + "y") == [("E106", 1, 1)]
    assert found("é" * (MAX_BYTES // 2 + 1)) == [("E106", 1, 1)]
    assert read_text(fits + "y", max_bytes=MAX_BYTES + 1).root is not None


def test_depth_is_bounded_alike() -> None:
    for kind in ("yaml", "json"):
        assert found("[" * 64 + "]" * 64, kind) == []
        assert found("[" * 65 + "]" * 65, kind) == [("E107", 1, 65)]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ('{"a": 1}', "json"),
        ("{a: 1}", "yaml"),
        ("{lang: string?}", "yaml"),
        ('{"a": 1, # comment\n b: 2}', "yaml"),
        ("a: 1", "yaml"),
    ],
)
def test_the_notation_is_guessed(source: str, kind: Kind) -> None:
    assert read_text(source) == read_text(source, kind=kind)
    assert read_text(source).root is not None


def test_the_better_of_two_complaints_is_given() -> None:
    as_json = read_text('{"a": 1, b: [}').diagnostics
    assert [(one.code, one.column) for one in as_json] == [("E102", 10)]
    assert "double quotes" in as_json[0].message
    as_yaml = read_text("{a: 1, b: [}").diagnostics
    assert [(one.code, one.column) for one in as_yaml] == [("E102", 12)]
    assert "double quotes" not in as_yaml[0].message


def test_bytes_and_text_are_read_alike() -> None:
    source = "é: [1, '😀']\n"
    assert read_text(source.encode()) == read_text(source)
    assert read_text(b"\xef\xbb\xbf" + source.encode()) == read_text(source)


def test_without_libyaml_the_operator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    with pytest.raises(InvalidSetting, match="without libyaml"):
        read_text("a: 1")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@given(JSON, st.sampled_from([None, 1]))
def test_json_is_read_as_python_reads_it(value: Any, indent: int | None) -> None:
    document = read_text(json.dumps(value, indent=indent), kind="json")
    assert document.diagnostics == ()
    assert data(document.root) == value


# Printable: libyaml has its own mind on escapes for the rest.
PLAIN = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=8)


@given(st.dictionaries(PLAIN, st.lists(PLAIN | st.integers() | st.floats(-1e9, 1e9) | st.none()), max_size=4))
@example({"a": [1.5, None, "=x"]})
def test_yaml_written_in_the_form_of_json_gives_the_same_nodes(value: Any) -> None:
    source = json.dumps(value, ensure_ascii=False)
    as_json, as_yaml = read_text(source, kind="json"), read_text(source, kind="yaml")
    assert data(as_yaml.root) == data(as_json.root)
    assert as_yaml.places == as_json.places


SCRAPS = st.lists(
    st.sampled_from(
        [*"[]{}:,-?&*!|>'\"%@`#=<\\ \n\t", ": ", " #", "\n  ", "- ", "---\n", "a", "1", "é", "\0"]
    ),
    max_size=30,
).map("".join)


@given(st.text() | SCRAPS, st.sampled_from(["yaml", "json", None]))
@example("a: [=x", None)
@example("=", None)
@example("? =", "yaml")
@example("[*a]", "yaml")
@example("*a : b", "yaml")
def test_text_never_raises(source: str, kind: Kind | None) -> None:
    document = read_text(source, kind=kind)
    assert document.root is not None or document.diagnostics
    lines = source.count("\n") + source.count("\r") + source.count("\x85") + source.count("\u2028") + 3
    for one in document.diagnostics:
        assert one.code.startswith("E1")
        assert 1 <= one.line <= lines
        assert one.column >= 1


@given(st.binary())
def test_bytes_never_raise(source: bytes) -> None:
    document = read_text(source)
    assert document.root is not None or document.diagnostics
