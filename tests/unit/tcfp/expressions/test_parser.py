"""Text to tree: literals, precedence, places, bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.lexer import SyntaxProblem
from stratarouter_runtime.tcfp.expressions.parser import parse
from stratarouter_runtime.tcfp.expressions.syntax import Node, children, free_names


def shape(node: Node) -> str:  # noqa: C901 - one case a kind of node
    """The tree in brackets, without offsets."""
    match node:
        case syntax.Literal():
            return repr(node.value)
        case syntax.Name():
            return node.name
        case syntax.Field():
            return f"({shape(node.target)} . {node.name})"
        case syntax.Index():
            return f"({shape(node.target)} [] {shape(node.key)})"
        case syntax.Unary():
            return f"({node.operator} {shape(node.operand)})"
        case syntax.Binary():
            return f"({shape(node.left)} {node.operator} {shape(node.right)})"
        case syntax.Call():
            return f"{node.function}({', '.join(map(shape, children(node)))})"
        case syntax.Macro():
            return f"{node.kind}<{node.binder}>({', '.join(map(shape, children(node)))})"
        case syntax.ListLiteral():
            return f"[{', '.join(map(shape, node.items))}]"
        case syntax.RecordLiteral():
            return "{" + ", ".join(f"{name}: {shape(of)}" for name, of in node.fields) + "}"
        case syntax.Conditional():
            return f"({shape(node.test)} ? {shape(node.then)} : {shape(node.otherwise)})"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("0", 0),
        ("0x1F", 31),
        ("-0x1f", -31),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775807", 2**63 - 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-2.5e-1", -0.25),
        ("true", True),
        ("null", None),
        ("'a'", "a"),
        ('"it\'s"', "it's"),
        (r'"\a\b\f\n\r\t\v\\\?\"\'\`"', "\a\b\f\n\r\t\v\\?\"'`"),
        (r"'\x41\X42\u00e9\U0001f431\101'", "ABé🐱A"),
        ('"""two\nlines "quoted" """', 'two\nlines "quoted" '),
        ("r'\\d+\\'", "\\d+\\"),
        ("R'''a'b'''", "a'b"),
        ("b'é'", "é".encode()),
        (r"b'\xff\000'", b"\xff\x00"),
        (r"br'\x'", b"\\x"),
        ("''", ""),
    ],
)
def test_literals(source: str, value: Any) -> None:
    node = parse(source)
    assert isinstance(node, syntax.Literal)
    assert (node.value, type(node.value)) == (value, type(value))


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("a || b && c", "(a || (b && c))"),
        ("a && b || c && d", "((a && b) || (c && d))"),
        ("a == b && c < d", "((a == b) && (c < d))"),
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b % c", "((a / b) % c)"),
        ("!a.b", "(! (a . b))"),
        ("!!a", "(! (! a))"),
        ("-a * b", "((- a) * b)"),
        ("a - -1", "(a - -1)"),
        ("- 1", "-1"),
        ("a ? b : c ? d : e", "(a ? b : (c ? d : e))"),
        ("a in b || c", "((a in b) || c)"),
        ("(a || b) && c", "((a || b) && c)"),
        ("a.b[0].c(d, e)", "c(((a . b) [] 0), d, e)"),
        ("f()", "f()"),
        ("a.map(x, x > 1, x + 1)", "map<x>(a, (x > 1), (x + 1))"),
        ("a.exists_one(x, x)", "exists_one<x>(a, x)"),
        ("[1, 2,]", "[1, 2]"),
        ("{a: 1, 'b c': [], in_: {}}", "{a: 1, b c: [], in_: {}}"),
        ("r.`content-type`", "(r . content-type)"),
        ("a // comment\n + b", "(a + b)"),
        ("a.for", "(a . for)"),
    ],
)
def test_trees(source: str, tree: str) -> None:
    assert shape(parse(source)) == tree


@pytest.mark.parametrize(
    ("source", "offset"),
    [
        ("  a", 2),
        ("a.bc", 2),
        ("a + b", 2),
        ("ab ? c : d", 3),
        ("a[1]", 1),
        ("a.size()", 2),
        ("  size(a)", 2),
        ("a.all(x, x)", 2),
        (" -a", 1),
        (" - 1", 1),
        ("'é' + 'b'", 4),
    ],
)
def test_a_node_points_at_what_makes_it(source: str, offset: int) -> None:
    assert parse(source).offset == offset


@pytest.mark.parametrize(
    ("source", "code", "offset", "said"),
    [
        ("", "E201", 0, "unexpected end"),
        ("1 +", "E201", 3, "unexpected end"),
        ("a b", "E201", 2, "unexpected 'b'"),
        ("a = b", "E201", 2, "unexpected character '='"),
        ("(a", "E201", 2, "unexpected end, expected ')'"),
        ("f(a,)", "E201", 4, "unexpected ')'"),
        ("a ? b", "E201", 5, "unexpected end, expected ':'"),
        ("a.1", "E201", 1, "unexpected '0.1'"),
        ("a.", "E201", 2, "unexpected end, expected a field or a function"),
        (".a", "E201", 0, "unexpected '.'"),
        ("{1: 2}", "E201", 1, "the key of a record is a name or a string"),
        ("{a: 1, 'a': 2}", "E202", 7, "field 'a' twice"),
        ("a § b", "E201", 2, "unexpected character '§'"),
        ("in", "E201", 0, "unexpected 'in'"),
        ("1u", "E202", 0, "no unsigned numbers: 1u"),
        ("1a", "E202", 0, "not a number: 1a"),
        ("9223372036854775808", "E202", 0, "9223372036854775808 is not a 64-bit int"),
        ("-9223372036854775809", "E202", 1, "9223372036854775809 is not a 64-bit int"),
        ("9" * 50, "E202", 0, "not a 64-bit int"),
        ("'abc", "E202", 0, "string without an end"),
        ("'a\nb'", "E202", 0, "string without an end on its line"),
        (r"'ab\q'", "E202", 3, "no escape \\q"),
        (r"'\ud800'", "E202", 1, "no character \\ud800"),
        (r"'\U00110000'", "E202", 1, "no character \\U00110000"),
        (r"b'\u0041'", "E202", 2, "no \\u in bytes"),
        ("a.map(1, 2)", "E206", 2, "map takes a name and an expression over it"),
        ("a.all(x)", "E206", 2, "all takes a name and an expression over it"),
        ("a.all(x, y, z)", "E206", 2, "all takes a name and an expression over it"),
        ("a" * 4097, "E203", 0, "longer than 4096 bytes"),
        ("é" * 2049, "E203", 0, "longer than 4096 bytes"),
        ("!" * 32 + "a", "E204", 32, "nested deeper than 32 levels"),
        ("[" * 32 + "]" * 32, None, 0, ""),
        ("[" * 33 + "]" * 33, "E204", 32, "nested deeper than 32 levels"),
        ("(" * 4000, "E204", 64, "nested deeper than 32 levels"),
        (" + ".join("a" * 64), None, 0, ""),
        (" + ".join("a" * 65), "E204", 4, "more than 64 operators in a row"),
        ("a" + ".b" * 63, None, 0, ""),
        ("a" + ".b" * 64, "E204", 0, "more than 64 operators in a row"),
        ("a.map(x, a.map(y, a.map(z, x + y + z)))", None, 0, ""),
        ("a.map(x, a.map(y, a.map(z, a.map(w, w))))", "E205", 29, "macros nested deeper than 3"),
        ("a.map(x, x).map(x, x).map(x, x).map(x, x)", None, 0, ""),
    ],
    ids=lambda of: of[:20] if isinstance(of, str) else None,
)
def test_problems_say_where(source: str, code: str | None, offset: int, said: str) -> None:
    if code is None:
        parse(source)
        return
    with pytest.raises(SyntaxProblem) as caught:
        parse(source)
    assert (caught.value.code, caught.value.offset, caught.value.message) == (code, offset, said)


def test_free_names_leave_out_what_macros_bind() -> None:
    tree = parse("a.filter(x, x > n && b.exists(y, y == x)).map(a, a) == x")
    assert [(name.name, name.offset) for name in free_names(tree)] == [
        ("a", 0),
        ("n", 16),
        ("b", 21),
        ("x", 55),
    ]


def test_equal_sources_share_a_tree() -> None:
    assert parse("a + 1") is parse("a + 1")


@given(st.text(st.sampled_from("ab1.0 ()[]{}+-*/%!=<>&|?:,'\"\\nux`"), max_size=40))
def test_any_text_is_a_tree_or_a_problem_inside_it(source: str) -> None:
    offsets = [0]
    try:
        tree = parse(source)
    except SyntaxProblem as problem:
        offsets = [problem.offset]
    else:
        assert all(source.startswith(name.name, name.offset) for name in free_names(tree))
    assert all(0 <= offset <= len(source) for offset in offsets)


def test_a_problem_reads_as_one_line() -> None:
    assert str(SyntaxProblem(3, "unexpected 'b'")) == "E201 at 3: unexpected 'b'"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_string_can_be_written(value: str) -> None:
    written = "".join(f"\\U{ord(char):08x}" for char in value)
    node = parse(f"'{written}'")
    assert isinstance(node, syntax.Literal)
    assert node.value == value
