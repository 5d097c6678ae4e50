from __future__ import annotations

import copy
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.builder import fn
from stratarouter_runtime.builder.functions import choose, run
from stratarouter_runtime.builder.proxies import Proxy, known_type, source_of, text
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp.expressions import parse
from stratarouter_runtime.tcfp.expressions.syntax import Literal
from stratarouter_runtime.tcfp.types import INT, STRING, ListType, MapType, record


class Level(StrEnum):
    LOW = "low"


A: Any = Proxy("a")
B: Any = Proxy("b")
TICKET: Any = Proxy(
    "t", type_=record({"id": STRING, "tags": ListType(record({"n": INT})), "by": MapType(INT)})
)


@pytest.mark.parametrize(
    ("built", "source"),
    [
        (A + B * 2, "a + b * 2"),
        ((A + B) * 2, "(a + b) * 2"),
        (A - (B - 1), "a - (b - 1)"),
        (A - B - 1, "a - b - 1"),
        (1 - A, "1 - a"),
        (2 * A / 3 % B, "2 * a / 3 % b"),
        (1.5 / (A % 2), "1.5 / (a % 2)"),
        (-A.x, "-a.x"),
        ((-A).x, "(-a).x"),
        ("x" + A + "\n", '"x" + a + "\\n"'),
        ((A == 1) & (B != None), "a == 1 && b != null"),  # noqa: E711 - a proxy has no `is`
        ((A < 1) | (B >= 2) & ~(A == B), "a < 1 || b >= 2 && !(a == b)"),
        (((A < 1) | (B > 2)) & True, "(a < 1 || b > 2) && true"),
        (False | (A <= 1), "false || a <= 1"),
        (True & (A == Level.LOW), 'true && a == "low"'),
        (A.x.y[0]["k"], "a.x.y[0].k"),
        (A["not a name"], 'a["not a name"]'),
        (A[B], "a[b]"),
        (TICKET.by["k"], 't.by["k"]'),
        (TICKET["id"], "t.id"),
        ((A + B).size(), "(a + b).size()"),
        (A.startswith("x"), 'a.startsWith("x")'),
        (A.strip().lower(), "a.trim().lowerAscii()"),
        (A.orValue([1, {"k": B}]), 'a.orValue([1, {"k": b}])'),
        (A.map(lambda x: x + 1), "a.map(x, x + 1)"),
        (A.map(lambda x: x > 1, lambda x: x * 2), "a.map(x, x > 1, x * 2)"),
        (A.filter(lambda x: x.ys.exists(lambda y: y == x.z)), "a.filter(x, x.ys.exists(y, y == x.z))"),
        (choose(A == 1, B, choose(B == 2, "x", None)), 'a == 1 ? b : b == 2 ? "x" : null'),
        (choose(choose(A, B, A), B, 1), "(a ? b : a) ? b : 1"),
        (choose(A, B, 1) + 1, "(a ? b : 1) + 1"),
        (fn.present(A), "a != null"),
        (fn.absent(A.x), "a.x == null"),
        (fn.contains(["x"], A), 'a in ["x"]'),
        (fn.or_value(A, b"\x00z"), 'a.orValue(b"\\x00\\x7a")'),
        (fn.size(A), "size(a)"),
        (fn.string(fn.double(fn.integer(A))), "string(double(int(a)))"),
        (fn.join(A), "a.join()"),
        (fn.join(A, ", "), 'a.join(", ")'),
        (fn.all(A, lambda x: x), "a.all(x, x)"),
        (fn.exists_one(A, lambda x: x), "a.exists_one(x, x)"),
        (fn.exists(A, lambda x: x), "a.exists(x, x)"),
        (fn.matches(A, "^x"), 'a.matches("^x")'),
        (fn.distinct(fn.flatten(fn.map(A, lambda x: x))), "a.map(x, x).flatten().distinct()"),
        (run.id + "/" + run.seed, 'run.id + "/" + run.seed'),
    ],
)  # fmt: skip
def test_using_a_proxy_writes_an_expression(built: Any, source: str) -> None:
    assert source_of(built) == source
    parse(source)


@pytest.mark.parametrize(
    ("use", "advice"),
    [
        (bool, "& | ~"),
        (lambda a: a and 1, "& | ~"),
        (lambda a: not a, "& | ~"),
        (lambda a: 1 < a < 3, "& | ~"),
        (lambda a: [*a], "each()"),
        (lambda a: "x" in a, "fn.contains"),
        (len, "fn.size"),
        (lambda a: {a: 1}, "key of a dict"),
        (lambda a: f"{a}", "f-strings"),
        (lambda a: f"{a:>3}", "f-strings"),
        (str, "build text with +"),
        (lambda a: (a + 1)(2), "x.size()"),
        (lambda a: a.map(1), "lambda x"),
        (lambda a: a.map(), "lambda x"),
        (lambda a: a + float("inf"), "null"),
        (lambda a: a + {1, 2}, "lists"),
        (lambda a: a == {1: 2}, "names"),
    ],
)
def test_what_python_would_decide_at_once_is_refused_with_advice(
    use: Callable[[Any], Any], advice: str
) -> None:
    with pytest.raises(InvalidFlow) as refused:
        use(A)
    assert advice in (refused.value.hint or "")


def test_a_field_that_is_not_there_is_found_at_once() -> None:
    assert known_type(TICKET.id) == STRING
    assert known_type(TICKET.tags[0].n) == INT
    with pytest.raises(InvalidFlow, match="no field 'idd'") as refused:
        _ = TICKET.idd
    assert refused.value.hint == "did you mean 'id'?"
    with pytest.raises(InvalidFlow, match="no field 'm'"):
        TICKET.tags.map(lambda tag: tag.m)


def test_a_proxy_is_shown_but_not_copied_by_its_fields() -> None:
    assert repr(A.x) == "<expression a.x>"
    with pytest.raises(AttributeError):
        copy.copy(A).__deepcopy__  # noqa: B018 - the access is the test


@given(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.binary(max_size=9))  # fmt: skip
def test_a_constant_is_read_back_as_it_was(value: Any) -> None:
    node = parse(text(value))
    assert isinstance(node, Literal)
    assert node.value == value
    assert type(node.value) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_as_it_was(value: float) -> None:
    node = parse(text(value))
    assert isinstance(node, Literal)
    assert node.value == value
    assert isinstance(node.value, float)
