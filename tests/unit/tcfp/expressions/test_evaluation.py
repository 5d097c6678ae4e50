"""What expressions evaluate to: arithmetic, equality, absorption, functions, bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.tcfp.expressions.expressing import run

from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.expressions import ExpressionFailed, Scope, compile_value
from stratarouter_runtime.tcfp.expressions.library import OutOfBounds, unreachable
from stratarouter_runtime.tcfp.expressions.strings import to_float, to_string
from stratarouter_runtime.tcfp.ir import Expression
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    DURATION,
    FLOAT,
    INT,
    NULL,
    STRING,
    TIME,
    ListType,
    MapType,
    Type,
    UnionType,
)

MIN, MAX = -(2**63), 2**63 - 1
INTS = st.one_of(st.integers(MIN, MAX), st.integers(-10, 10), st.sampled_from([MIN, MIN + 1, MAX, 0]))


def evaluate(source: str, **names: tuple[Type, Any]) -> Any:
    found = Scope()
    for index, (name, (type_, _)) in enumerate(names.items()):
        found = found.bind(name, type_, 0, index)
    diagnostics = Diagnostics()
    code = compile_value(Expression(source), found, diagnostics)
    assert not diagnostics.sorted()
    return code.run(([value for _, value in names.values()],))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("n + 2 * 3", 13),
        ("-n / 2", -3),
        ("-n % 4", -3),
        ("n % -4", 3),
        ("x * 2.0", 5.0),
        ("-x", -2.5),
        ("x / 0.0", math.inf),
        ("-x / 0.0", -math.inf),
        ("x / -0.0", -math.inf),
        ("raw + b'a'", b"\x00\xffa"),
        ("s + '-' + s + '!'", "straße-straße!"),
        ("ns + [9]", [3, 1, 2, 3, 9]),
        ("b ? n : zero", 7),
        ("!b", False),
        ("n in ns", False),
        ("3 in ns", True),
        ("0.5 in xs", True),
        ("c.intent in ['billing', 'tech']", True),
        ("'a' in m", True),
        ("'b' in m", False),
        ("s in {'a': 1}", False),
        ("p.orValue({page: '', by: {name: ''}}).page", "p1"),
        ("nobody == null", True),
        ("nobody.orValue({page: 'none', by: {name: 'x'}}).page", "none"),
        ("ns.map(i, null == null ? note : note).map(i, i.orValue(string(n)))[0]", "7"),
        ("m.a + m['z']", 27),
        ("f.size", 12),
        ("shape.kind == 'square' ? shape.side : 0", 4),
        ("mixed == 1", False),
        ("mixed == true", True),
        ("mixed in [1]", False),
        ("j == {a: [1, true, null]}", True),
        ("j == {a: [1, 1, null]}", False),
        ("j != null", True),
        ("docs[0] == {id: '1', score: 0.9}", True),
        ("docs[0] == {id: '1', score: 0.9, title: 'x'}", False),
        ("{id: '1', score: x} == docs[0]", False),
        ("{a: 1, z: 26} == m", True),
        ("m != {a: 1}", True),
        ("'a' < 'b' && '\U0001f431' > '\uffff'", True),
        ("t < later", True),
        ("d < longer", True),
        ("d >= longer", False),
        ("later - t", "PT60.5S"),
        ("t + d", "2026-01-02T03:04:14.000000Z"),
        ("d + t", "2026-01-02T03:04:14.000000Z"),
        ("t - d", "2026-01-02T03:03:56.000000Z"),
        ("d + longer", "PT19S"),
        ("d - longer", "-PT1S"),
        ("false < b", True),
    ],
)
def test_operators(source: str, value: Any) -> None:
    found = run(source)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("size(s)", 6),
        ("s.size()", 6),
        ("size(raw)", 2),
        ("size(ns) + size(m) + {a: 1}.size()", 7),
        ("s.contains('aß')", True),
        ("s.startsWith('st')", True),
        ("s.endsWith('x')", False),
        ("s.matches('^[a-zß]+$')", True),
        ("matches(s, '[0-9]')", False),
        ("'ÄaB'.lowerAscii()", "Äab"),
        ("'äaB'.upperAscii()", "äAB"),
        ("'Ab'.lowerAscii() + 'Ab'.upperAscii()", "abAB"),
        ("' \u00a0x\u3000 '.trim()", "x"),
        ("'\x1fx'.trim()", "\x1fx"),
        ("'a,b,,c'.split(',')", ["a", "b", "", "c"]),
        ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
        ("'a,b'.split(',', 0)", []),
        ("'añb'.split('')", ["a", "ñ", "b"]),
        ("'abcd'.split('', 2)", ["a", "bcd"]),
        ("'abc'.split('', 9)", ["a", "b", "c"]),
        ("'aaa'.replace('a', 'b')", "bbb"),
        ("'aaa'.replace('a', 'b', 2)", "bba"),
        ("'aaa'.replace('a', '', -1)", ""),
        ("'ab'.replace('', '-')", "-a-b-"),
        ("s.substring(4)", "ße"),
        ("s.substring(1, 3)", "tr"),
        ("words.join()", "bab"),
        ("words.join(', ')", "b, a, b"),
        ("[note][0].orValue(s)", "straße"),
        ("ns.sum()", 9),
        ("xs.sum()", 0.75),
        ("[].sum()", 0),
        ("ns.min()", 1),
        ("words.max()", "b"),
        ("ns.sort()", [1, 2, 3, 3]),
        ("[].sort()", []),
        ("[].distinct()", []),
        ("ns.distinct()", [3, 1, 2]),
        ("docs.map(d, {k: d.score > 0.5}).distinct()", [{"k": True}, {"k": False}]),
        ("[mixed, 1, true, 1].distinct()", [True, 1]),
        ("nested.flatten()", [1, 2, 3]),
        ("[[n], [n]].distinct()", [[7]]),
        ("ns.slice(1)", [1, 2, 3]),
        ("ns.slice(1, 3)", [1, 2]),
        ("int(2.9) + int(-2.9) + int('12') + int(n)", 19),
        ("double(n) + double('1e3') + double(x)", 1009.5),
        ("string(n) + string(x) + string(b) + string(s) + string(b'a') + string(t)",
         "72.5truestraßea2026-01-02T03:04:05.000000Z"),
        ("ns.map(i, i * 2)", [6, 2, 4, 6]),
        ("ns.map(i, i > 1, i * 2)", [6, 4, 6]),
        ("ns.filter(i, i > 1)", [3, 2, 3]),
        ("m.map(k, k)", ["a", "z"]),
        ("m.filter(k, m[k] > 1)", ["z"]),
        ("{z: 1, a: 2}.map(k, k)", ["a", "z"]),
        ("ns.all(i, i > 0)", True),
        ("ns.exists(i, i > 3)", False),
        ("ns.exists_one(i, i == 3)", False),
        ("ns.exists_one(i, i == 1)", True),
        ("ns.map(i, ns.filter(k, k < i).map(l, l * i))", [[3, 6], [], [2], [3, 6]]),
        ("docs.filter(d, d.title != null && d.title.size() > 2).map(d, d.title)", ["two"]),
    ],
)  # fmt: skip
def test_functions(source: str, value: Any) -> None:
    found = run(source)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("n / zero", "division by zero"),
        ("n % zero", "modulo by zero"),
        ("n + 9223372036854775807", "int overflow"),
        ("-n - 9223372036854775807", "int overflow"),
        ("n * 9223372036854775807", "int overflow"),
        ("-(zero - 9223372036854775807 - 1)", "int overflow"),
        ("(zero - 9223372036854775807 - 1) / -1", "int overflow"),
        ("[n, 9223372036854775807].sum()", "int overflow"),
        ("ns[4]", "no element 4 in a list of 4"),
        ("ns[-1]", "no element -1 in a list of 4"),
        ("m[s]", "no key 'straße'"),
        ("m.nope", "no key 'nope'"),
        ("s.substring(7)", "no substring from 7 to 6 in 6 characters"),
        ("s.substring(2, 1)", "no substring from 2 to 1"),
        ("s.substring(-1)", "no substring from -1"),
        ("ns.slice(3, 9)", "no slice from 3 to 9 in a list of 4"),
        ("ns.filter(i, i > 9).min()", "min() of an empty list"),
        ("[0.0 / (x - x), x].max()", "not-a-number: it has no order"),
        ("int(x * 1e300)", "does not fit an int"),
        ("int(0.0 / (x - x))", "NaN does not fit an int"),
        ("int(s)", "'straße' is not a 64-bit int"),
        ("int('9223372036854775808')", "is not a 64-bit int"),
        ("int('1_0')", "is not a 64-bit int"),
        ("double(s)", "'straße' is not a float"),
        ("double('1e999')", "is not a float"),
        ("double(' 1')", "is not a float"),
        ("string(raw)", "the bytes are not UTF-8"),
        ("[[]][0][n]", "no element 7"),
        ("[].map(i, i)[0] + n", "no element 0"),
        ("ns.map(i, 6 / (i - 1))", "division by zero"),
        ("ns.filter(i, 6 / (i - 1) > 0)", "division by zero"),
        ("ns.exists_one(i, 6 / (i - 1) > 0)", "division by zero"),
    ],
)
def test_failures_say_why(source: str, why: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        run(source)
    assert why in str(caught.value)


def test_times_stay_within_the_calendar() -> None:
    far = "9999-12-31T23:59:59.999999Z"
    for source in ("t + d", "t - (t - t - d)"):
        with pytest.raises(ExpressionFailed):
            evaluate(source, t=(TIME, far), d=(DURATION, "PT1S"))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("n / zero == 1 || true", True),
        ("true || n / zero == 1", True),
        ("n / zero == 1 && false", False),
        ("false && n / zero == 1", False),
        ("ns[9] == 1 || ns[8] == 1 || b", True),
        ("(ns[9] == 1 && b) || b", True),
        ("!(ns[9] == 1) && !b", False),
        ("ns.all(i, 6 / (i - 1) > 100)", False),
        ("ns.exists(i, 6 / (i - 1) == 6)", True),
        ("m.all(k, 1 / (m[k] - 1) > 5)", False),
        ("ns.all(i, n / zero == 1 || i > 0)", True),
    ],
)
def test_an_error_is_absorbed_where_the_other_side_decides(source: str, value: bool) -> None:  # noqa: FBT001 - a row
    assert run(source) is value


@pytest.mark.parametrize(
    "source",
    [
        "n / zero == 1 || false",
        "n / zero == 1 || !b",
        "n / zero == 1 && true",
        "true && n / zero == 1",
        "n / zero == 1 && ns[9] == 1",
        "ns.all(i, 6 / (i - 1) > -100)",
        "ns.exists(i, 6 / (i - 1) > 100)",
    ],
)
def test_an_error_stands_where_nothing_decides(source: str) -> None:
    with pytest.raises(ExpressionFailed):
        run(source)


def test_not_a_number_equals_nothing_wherever_it_lies() -> None:
    nan = (FLOAT, math.nan)
    assert evaluate("x == x", x=nan) is False
    assert evaluate("x != x", x=nan) is True
    assert evaluate("[x] == [x]", x=nan) is False
    assert evaluate("x in [x]", x=nan) is False
    assert evaluate("x in xs", x=nan, xs=(ListType(FLOAT), [nan[1]])) is False
    assert evaluate("{a: x} == {a: x}", x=nan) is False
    assert len(evaluate("[x, x].distinct()", x=nan)) == 2


def test_a_bool_is_no_number() -> None:
    either = UnionType((BOOL, INT))
    assert evaluate("a == b", a=(either, True), b=(either, 1)) is False
    assert evaluate("a in [b]", a=(either, True), b=(either, 1)) is False
    assert evaluate("[a] != [b]", a=(either, True), b=(either, 1)) is True


def test_what_no_list_can_hold_fails() -> None:
    with pytest.raises(ExpressionFailed, match="an empty list"):
        unreachable(1)


def test_durations_stay_within_their_span() -> None:
    with pytest.raises(ExpressionFailed):
        evaluate("d + d", d=(DURATION, "PT200000000000S"))


# Bounds.

BIG = (ListType(INT), list(range(1000)))
MIB = 1_048_576


@pytest.mark.parametrize(
    "source",
    [
        "xs.all(x, xs.exists(y, y == x))",
        "xs.all(x, xs.exists(y, y == x)) || true",
        "true && xs.all(x, xs.map(y, y).size() > 0)",
        "xs.all(x, xs.all(y, 1 / (y + 1) >= 0)) || true",
        "(1 / (xs[0] + 1) == 5 || xs.all(x, xs.exists(y, y == x))) || true",
        "xs.map(x, xs).flatten().size() > 0",
        "xs.all(x, xs == xs)",
        "xs.all(x, -1 in xs || true)",
        "xs.map(x, xs.sum()).size() > 0",
        "xs.map(x, (xs + xs).size()).size() > 0",
        "xs.all(x, [xs] == [xs])",
    ],
)
def test_visits_are_bounded_and_no_operator_hides_that(source: str) -> None:
    with pytest.raises(OutOfBounds, match="visits more than 100000 elements"):
        evaluate(source, xs=BIG)


@pytest.mark.parametrize(
    "source",
    [
        "xs.map(x, s.replace('a', 'b')).size()",
        "xs.exists(x, s.matches('(a|b)*c'))",
        "xs.exists(x, s.contains('yy'))",
        "xs.map(x, s + 'y').size()",
        "xs.map(x, [s, 'y'].join()).size()",
        "xs.map(x, s.split('')[0]).size()",
        "xs.exists(x, t < s)",
        "xs.exists(x, [s] == [t])",
        "xs.exists(x, s in [t])",
        "xs.map(x, true, [s].distinct()).size() > 0 && xs.map(x, [xs].distinct()).size() > 0",
        "s.split('')",
        "[" + ",".join(["size(s+'y')"] * 300) + "]",
    ],
)
def test_work_on_long_texts_is_bounded(source: str) -> None:
    half = "x" * (MIB // 2)
    with pytest.raises(OutOfBounds, match="visits more than 100000 elements"):
        evaluate(source, s=(STRING, half), t=(STRING, half + "y"), xs=BIG)


def test_short_texts_are_worked_on_for_nothing() -> None:
    assert evaluate("xs.map(x, (s + 'y').size()).sum()", s=(STRING, "x" * 1_000), xs=BIG) == 1_001_000
    assert evaluate("(s + s).size()", s=(STRING, "x" * 500_000)) == 1_000_000


@pytest.mark.parametrize("operator", ["+", "*", "-"])
def test_ints_that_go_for_floats_do_not_grow(operator: str) -> None:
    assert type(evaluate(f" {operator} ".join(["x"] * 20), x=(FLOAT, 2**62))) is float


def test_visits_are_counted_for_every_evaluation_anew() -> None:
    found = Scope().bind("xs", ListType(INT), 0, 0)
    code = compile_value(Expression("xs.all(x, x >= 0)"), found, Diagnostics())
    assert all(code.run(([list(range(90_000))],)) for _ in range(3))


def test_the_bound_is_met_exactly() -> None:
    assert evaluate("xs.size()", xs=(ListType(INT), [0] * 100_000)) == 100_000
    assert evaluate("xs.all(x, x == 0)", xs=(ListType(INT), [0] * 100_000)) is True
    with pytest.raises(OutOfBounds):
        evaluate("xs.all(x, x == 0)", xs=(ListType(INT), [0] * 100_001))
    with pytest.raises(OutOfBounds):
        evaluate("m.all(k, true)", m=(MapType(INT), dict.fromkeys(map(str, range(100_001)), 0)))


@pytest.mark.parametrize(
    "source",
    [
        "s + s",
        "'é' + s.substring(0, 1048575)",
        "s.replace('x', 'xy')",
        "[s, s].join()",
        "b'x' + r",
        "{a: s, b: s}",
        "[s, s]",
        "b ? [s, s] : [s]",
        "[[s, s]][0]",
        "[1, 2].map(i, s)",
        "[[s], [s]].flatten()",
        "n.orValue([s, s])",
        "{a: [s, s]}.a",
    ],
)
def test_results_are_bounded(source: str) -> None:
    optional = UnionType((ListType(STRING), NULL))
    names: dict[str, tuple[Type, Any]] = {
        "s": (STRING, "x" * MIB),
        "r": (BYTES, b"x" * MIB),
        "b": (BOOL, True),
        "n": (optional, None),
    }
    with pytest.raises(OutOfBounds, match="larger than 1048576"):
        evaluate(source, **names)


def test_what_is_only_passed_on_is_not_measured() -> None:
    large = "x" * (2 * MIB)
    assert evaluate("b ? s : s", s=(STRING, large), b=(BOOL, True)) == large


# Laws.


@given(INTS, INTS, st.sampled_from("+-*/%"))
def test_int_arithmetic_is_exact_or_fails(a: int, b: int, operator: str) -> None:
    exact = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
        "%": lambda: int(math.copysign(1, a)) * (abs(a) % abs(b)),
    }
    wanted = None if operator in "/%" and b == 0 else exact[operator]()
    if wanted is None or not MIN <= wanted <= MAX:
        with pytest.raises(ExpressionFailed):
            evaluate(f"a {operator} b", a=(INT, a), b=(INT, b))
    else:
        assert evaluate(f"a {operator} b", a=(INT, a), b=(INT, b)) == wanted


@given(INTS, INTS)
def test_division_and_modulo_belong_together(a: int, b: int) -> None:
    if b == 0 or (a, b) == (MIN, -1):
        return
    assert evaluate("a / b * b + a % b", a=(INT, a), b=(INT, b)) == a


@given(st.floats(), st.floats())
def test_float_division_is_that_of_ieee_754(a: float, b: float) -> None:
    found = evaluate("a / b", a=(FLOAT, a), b=(FLOAT, b))
    with np.errstate(all="ignore"):
        wanted = float(np.float64(a) / np.float64(b))
    assert repr(found) == repr(wanted) or (math.isnan(found) and math.isnan(wanted))


@given(st.floats(allow_nan=False))
def test_a_float_survives_its_text(value: float) -> None:
    assert repr(to_float(to_string(value))) == repr(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"), (0.1, "0.1"), (-0.0, "-0"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1.5e300, "1.5e+300"),
        (1e-6, "0.000001"), (1.5e-6, "0.0000015"), (-2.5e-5, "-0.000025"), (1e-7, "1e-7"), (123456789.125, "123456789.125"),
        (math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, "NaN"),
    ],
)  # fmt: skip
def test_floats_are_written_as_json_writes_them(value: float, text: str) -> None:
    assert to_string(value) == text


@given(st.lists(st.one_of(st.integers(0, 3), st.booleans())))
def test_distinct_keeps_the_first_of_each(items: list[int | bool]) -> None:
    found = evaluate("xs.distinct()", xs=(ListType(UnionType((BOOL, INT))), items))
    wanted = [
        item for i, item in enumerate(items) if (type(item), item) not in [(type(of), of) for of in items[:i]]
    ]
    assert [(type(of), of) for of in found] == [(type(of), of) for of in wanted]
