"""What tests prove: inside an expression, and for the steps behind a guard or in an arm."""

from __future__ import annotations

import pytest
from tests.unit.tcfp.expressions.expressing import check

from stratarouter_runtime.tcfp.expressions import NO_FACTS, Facts, Scope, narrowing, narrowing_to
from stratarouter_runtime.tcfp.ir import Constant, Expression
from stratarouter_runtime.tcfp.relations import join, optional
from stratarouter_runtime.tcfp.types import (
    BOOL,
    INT,
    JSON,
    STRING,
    UNKNOWN,
    ListType,
    Type,
    enum,
    labelled,
    record,
    show,
)

PII = frozenset({"pii"})
OK = record({"state": enum(["ok"]), "value": INT})
BAD = record({"state": enum(["bad"]), "why": STRING})
SCOPE = (
    Scope()
    .bind("p", optional(record({"page": optional(STRING), "next": optional(record({"page": STRING}))})), 0, 0)
    .bind("q", optional(labelled(STRING, PII)), 0, 1)
    .bind("level", optional(enum(["high", "low", "mid"])), 0, 2)
    .bind("r", join(OK, BAD), 0, 3)
    .bind("maybe", optional(join(OK, BAD)), 0, 4)
    .bind("box", record({"r": join(OK, BAD)}), 0, 5)
    .bind("j", JSON, 0, 6)
    .bind("b", BOOL, 0, 7)
    .bind("u", UNKNOWN, 0, 8)
)


def shown(facts: Facts) -> dict[str, str]:
    return {".".join(path): show(type_) for path, type_ in facts.items()}


@pytest.mark.parametrize(
    ("source", "true", "false"),
    [
        ("q != null", {"q": "string @pii"}, {"q": "null"}),
        ("q == null", {"q": "null"}, {"q": "string @pii"}),
        ("null != q", {"q": "string @pii"}, {"q": "null"}),
        ("!(q == null)", {"q": "string @pii"}, {"q": "null"}),
        ("q != null && b", {"q": "string @pii"}, {}),
        ("q == null || b", {}, {"q": "string @pii"}),
        ("level == 'high'", {"level": "[high]"}, {"level": "[low, mid]?"}),
        ("level != null && level != 'high'", {"level": "[low, mid]"}, {}),
        ("r.state == 'ok'", {"r": "{state: [ok], value: int}"}, {"r": "{state: [bad], why: string}"}),
        ("'ok' != r.state", {"r": "{state: [bad], why: string}"}, {"r": "{state: [ok], value: int}"}),
        (
            "box.r.state == 'ok'",
            {"box.r": "{state: [ok], value: int}"},
            {"box.r": "{state: [bad], why: string}"},
        ),
        ("maybe != null && maybe.state == 'ok'", {"maybe": "{state: [ok], value: int}"}, {}),
        ("b", {}, {}),
        ("j != null", {}, {}),
        ("u != null", {}, {}),
        ("nope != null", {}, {}),
        ("p.nope != null", {}, {}),
        ("q == level", {}, {}),
        ("b ? true : q != null", {}, {}),
        ("[q][0] != null", {}, {}),
        ("q + 'a' == null", {}, {}),
        ("1 +", {}, {}),
    ],
)
def test_facts(source: str, true: dict[str, str], false: dict[str, str]) -> None:
    when_true, when_false = narrowing(Expression(source), SCOPE)
    assert (shown(when_true), shown(when_false)) == (true, false)


def test_facts_follow_one_another() -> None:
    source = "p != null && p.page != null && p.next != null"
    facts, _ = narrowing(Expression(source), SCOPE)
    found = SCOPE.narrow(facts).lookup("p")
    assert found is not None
    assert show(found.type) == "{next: {page: string}, page: string}"
    assert (found.depth, found.index) == (0, 0)


@pytest.mark.parametrize(
    ("source", "label", "facts"),
    [
        ("level", "high", {"level": "[high]"}),
        ("level", None, {"level": "null"}),
        ("r.state", "bad", {"r": "{state: [bad], why: string}"}),
        ("b", True, {}),
        ("b && q != null", True, {}),
        ("size(q)", "x", {}),
    ],
)
def test_facts_of_an_arm(source: str, label: str | bool | None, facts: dict[str, str]) -> None:  # noqa: FBT001 - a label, not a switch
    found = shown(narrowing_to(Expression(source), label, SCOPE))
    assert {path: type_ for path, type_ in found.items() if path != "r.state"} == facts


def test_data_proves_nothing() -> None:
    assert narrowing(Constant(True), SCOPE) == (NO_FACTS, NO_FACTS)
    assert narrowing_to(Constant("high"), "high", SCOPE) == NO_FACTS


def test_facts_about_what_is_not_bound_are_ignored() -> None:
    assert SCOPE.narrow({("nope",): INT}).lookup("nope") is None
    assert SCOPE.narrow({}) is SCOPE
    assert SCOPE.narrow({("b", "x"): INT}).lookup("b") == SCOPE.lookup("b")


def test_a_field_of_a_union_is_narrowed_in_every_record() -> None:
    union = join(record({"x": optional(INT), "a": INT}), record({"x": optional(INT)}))
    found = Scope().bind("v", union, 0, 0).narrow({("v", "x"): INT}).lookup("v")
    assert found is not None
    assert show(found.type) == "{a: int, x: int} | {x: int}"


def test_a_scope_offers_its_names_in_order() -> None:
    assert list(Scope().bind("z", INT, 0, 0).bind("a", INT, 0, 1).names()) == ["a", "z"]


@pytest.mark.parametrize(
    "source",
    [
        "p != null && p.page == 'p1'",
        "p == null || p.page == 'p1'",
        "p != null ? p.page : ''",
        "p == null ? '' : p.page",
        "!(p == null) ? p.page : ''",
        "!(p == null || p.page == '') ? p.page : ''",
        "b && p != null && p.by.name == 'x' && p.page == ''",
        "b || p == null || p.page == ''",
        "shape.kind == 'circle' ? shape.radius : double(shape.side)",
        "shape.kind != 'circle' || shape.radius > 1.0",
        "level != null ? level + '!' : 'none'",
        "note != null && words.exists(w, w == note + '!')",
        "docs.all(d, d.title == null || d.title.size() > 1)",
        "docs.exists(d, d.title != null && words.exists(w, w + d.title == ''))",
    ],
)
def test_what_a_test_proves_may_be_relied_on(source: str) -> None:
    _, found = check(source)
    assert [str(one) for one in found] == []


@pytest.mark.parametrize(
    "source",
    [
        "p == null ? p.page : ''",
        "p != null ? '' : p.page",
        "b && p != null || p.page == ''",
        "(b || p != null) && p.page == ''",
        "docs.all(p, true) && p.page == ''",
        "p != null && words.map(p, nobody).all(p, p.page == '')",
    ],
)
def test_what_is_not_proven_is_refused(source: str) -> None:
    _, found = check(source)
    assert [one.code for one in found] == ["E212"]


def test_list_elements_keep_their_type() -> None:
    types: list[Type] = [ListType(optional(INT))]
    facts, _ = narrowing(Expression("xs[0] != null"), Scope().bind("xs", types[0], 0, 0))
    assert facts == NO_FACTS
