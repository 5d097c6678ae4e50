"""Data with expressions in it becomes one code object: types, constants, what a place expects."""

from __future__ import annotations

from typing import Any

import pytest

from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.expressions import ExpressionFailed, Scope, compile_value
from stratarouter_runtime.tcfp.ir import Constant, Expression, ListValue, RecordValue, Value, Where
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.relations import optional
from stratarouter_runtime.tcfp.types import INT, STRING, UNKNOWN, ListType, MapType, Type, record, show

SCOPE = Scope().bind("n", INT, 0, 1).bind("s", STRING, 1, 0)
ENVIRONMENT = ([None, 7], ["deep"])


def fields(**of: Value) -> RecordValue:
    return RecordValue(tuple(of.items()))


def items(*of: Value) -> ListValue:
    return ListValue(of)


def compiled(value: Value, expected: Type | None = None) -> Code:
    diagnostics = Diagnostics()
    code = compile_value(value, SCOPE, diagnostics, expected)
    assert not diagnostics.sorted()
    return code


@pytest.mark.parametrize(
    ("value", "type_", "result", "constant"),
    [
        (Constant(None), "null", None, True),
        (Constant(3), "int", 3, True),
        (Constant("a"), "[a]", "a", True),
        (Expression("n"), "int", 7, False),
        (Expression("s + '!'"), "string", "deep!", False),
        (Expression("1 + 2"), "int", 3, True),
        (Expression("['a', 'b'].map(x, x + x)"), "list<string>", ["aa", "bb"], True),
        (Expression("[].map(x, x)"), "list<never>", [], True),
        (items(), "list<never>", [], True),
        (items(Constant(1), Expression("n")), "list<int>", [1, 7], False),
        (items(Constant(1), Constant(1.5)), "list<float>", [1, 1.5], True),
        (fields(), "{}", {}, True),
        (fields(b=Expression("n"), a=Constant("x")), "{a: [x], b: int}", {"b": 7, "a": "x"}, False),
        (fields(a=items(fields(b=Expression("[n].map(x, x)")), fields(b=Expression("[s].map(x, x)")))),
         "{a: list<{b: list<int>} | {b: list<string>}>}", {"a": [{"b": [7]}, {"b": ["deep"]}]}, False),
        (fields(**{"not a name": Expression("n")}), "{not a name: int}", {"not a name": 7}, False),
    ],
)  # fmt: skip
def test_values(value: Value, type_: str, result: Any, constant: bool) -> None:  # noqa: FBT001 - a row
    code = compiled(value)
    assert (show(code.type), code.constant) == (type_, constant)
    assert code.run(ENVIRONMENT) == result


def test_a_constant_that_fails_fails_when_it_is_run() -> None:
    code = compiled(Expression("1 / 0"))
    assert not code.constant
    with pytest.raises(ExpressionFailed, match="division by zero"):
        code.run(ENVIRONMENT)


@pytest.mark.parametrize(
    ("value", "source"),
    [
        (Expression("n + 1"), "n + 1"),
        (Constant("a"), '"a"'),
        (fields(a=items(Expression("n"), Constant(None))), "{a: [n, null]}"),
    ],
)
def test_the_source_of_a_code_is_for_people(value: Value, source: str) -> None:
    assert compiled(value).source == source


@pytest.mark.parametrize(
    ("value", "expected", "type_"),
    [
        (fields(a=Constant(1), b=Expression("n")), MapType(INT), "map<int>"),
        (fields(a=Constant(1)), optional(MapType(INT)), "map<int>"),
        (Expression("{a: n}"), MapType(INT), "map<int>"),
        (Expression("{a: 1}"), MapType(INT), "map<int>"),
        (items(fields(a=Constant(1))), ListType(MapType(INT)), "list<map<int>>"),
        (fields(m=fields(a=Constant(1))), record({"m": MapType(INT)}), "{m: map<int>}"),
        (fields(m=fields(a=fields())), MapType(MapType(MapType(INT))), "map<map<map<never>>>"),
        (fields(a=Constant(1)), record({"a": INT}), "{a: int}"),
        (fields(a=Constant(1)), INT, "{a: int}"),
        (Expression("n"), MapType(INT), "int"),
    ],
)
def test_written_records_are_maps_where_maps_are_wanted(value: Value, expected: Type, type_: str) -> None:
    assert show(compiled(value, expected).type) == type_


def test_all_mistakes_of_a_value_are_found_at_their_places() -> None:
    value = fields(
        a=Expression("nope", Where("/with/a", 3, 9)),
        b=items(Constant(1), Expression("s + n", Where("/with/b/1", 4, 20))),
        c=Expression("1 +", Where("/with/c", 5, 9)),
    )
    diagnostics = Diagnostics()
    code = compile_value(value, SCOPE, diagnostics)
    assert [(one.code, one.pointer, one.line, one.column) for one in diagnostics.sorted()] == [
        ("E210", "/with/a", 3, 9),
        ("E213", "/with/b/1", 4, 22),
        ("E201", "/with/c", 5, 12),
    ]
    assert code.type == UNKNOWN
    with pytest.raises(ExpressionFailed):
        code.run(ENVIRONMENT)


def test_what_python_cannot_compile_is_a_diagnostic() -> None:
    value: Value = Expression("n")
    for _ in range(300):
        value = items(value)
    diagnostics = Diagnostics()
    assert compile_value(value, SCOPE, diagnostics).type == UNKNOWN
    assert [one.code for one in diagnostics.sorted()] == ["E204"]


@pytest.mark.parametrize(
    "source",
    [
        "[" * 31 + "n" + "]" * 31,
        "!(" * 31 + "true" + ")" * 31,
        "(1 / n == 1 || " * 15 + "true" + ")" * 15,
        "true ? 1 : " * 31 + "n",
        "-(" * 31 + "n" + ")" * 31,
        " + ".join(["n"] * 64),
        "[n]" + ".filter(x, x > 0)" * 62,
        "[n].map(a, [a].map(b, [b].map(c, " + "[" * 20 + "-(-(c))" + "]" * 20 + ")))",
        " && ".join(["1 / n == 0"] * 62),
    ],
    ids=lambda source: source[:24],
)
def test_everything_within_the_bounds_compiles(source: str) -> None:
    compiled(Expression(source)).run(ENVIRONMENT)


def test_one_environment_serves_every_depth() -> None:
    found = SCOPE.bind("inner", INT, 2, 3)
    code = compile_value(Expression("inner + n"), found, Diagnostics())
    assert code.run((*ENVIRONMENT, [0, 0, 0, 35])) == 42
