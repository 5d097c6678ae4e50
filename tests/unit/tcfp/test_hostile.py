"""Documents that are small and ask for much: all are answered, none takes long or breaks the stack.

What would take exponential time without a bound never ends here, so no test needs a clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.tcfp.checking import registry_of

from stratarouter_runtime.tcfp.compiler import compile_document, compile_flow
from stratarouter_runtime.tcfp.diagnostics import Diagnostic
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.relations import join
from stratarouter_runtime.tcfp.types import (
    BYTES,
    INT,
    JSON,
    MAX_OPTIONS,
    STRING,
    ListType,
    UnionType,
    labelled,
    record,
    show,
)
from stratarouter_runtime.tcfp.validation import aliases
from stratarouter_runtime.tcfp.validator import validate

LEVELS = 60
"""A little less than a document may nest, all but what stands around."""


def document(*steps: Any, **rest: Any) -> dict[str, Any]:
    return {"tcfp": "1.0", "flow": "f", "out": "json", "do": list(steps), **rest}


def nested(around: Callable[[Any, int], Any], levels: int, core: Any) -> Any:
    for level in range(levels):
        core = around(core, level)
    return core


def mistakes(flow: dict[str, Any]) -> tuple[Diagnostic, ...]:
    """Of loading and checking; a flow without errors is compiled, and again from its plan."""
    loaded = load(json.dumps(flow))
    if loaded.flow is None:
        return loaded.diagnostics
    checked = validate(loaded.flow)
    if not any(found.severity == "error" for found in checked.diagnostics):
        plan = compile_flow(loaded.flow, registry_of(loaded.flow))
        assert compile_document(plan.document).digest == plan.digest
    return checked.diagnostics


def raising(core: Any, level: int) -> Any:
    return {"let": "=1/0", "catch": [{"on": ["expression"], "as": f"e{level}", "do": core}]}


def looping(core: Any, level: int) -> Any:
    return {"loop": 0, "type": "json", "as": f"s{level}", "while": "=true", "max": 1, "do": core}


NESTED = {
    "lists": document({"let": nested(lambda of, _: [of], LEVELS, "=1 + 1")}),
    "records": document({"let": nested(lambda of, _: {"a": of}, LEVELS, "=run.id")}),
    "types": document({"let": 1}, **{"in": nested(lambda of, _: {"a": of}, LEVELS, "list<" * 31 + "int" + ">" * 31)}),
    "blocks": document(nested(lambda of, _: {"do": [of]}, LEVELS // 2, {"let": 1})),
    "branches": document(nested(lambda of, _: {"par": {"a": of}}, LEVELS // 2, {"let": 1})),
    "races": document(nested(lambda of, _: {"race": {"a": of, "b": {"let": 2}}}, LEVELS // 2, {"let": 1})),
    "arms": document(nested(lambda of, _: {"match": "=run.id == 'x'", "cases": {"true": of, "false": {"let": 1}}}, LEVELS // 2, {"let": 1})),
    "rounds": document(nested(lambda of, _: {"each": "=[1]", "max": 1, "do": of}, LEVELS, {"let": 1})),
    "loops": document(nested(looping, LEVELS, {"let": 1})),
    "handlers": document(nested(raising, LEVELS // 3, {"let": 1})),
    "undos": document(nested(lambda of, _: {"let": 1, "undo": of}, LEVELS, {"let": 1})),
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
def test_what_nests_as_deep_as_a_document_may_is_compiled(name: str) -> None:
    assert [found for found in mistakes(NESTED[name]) if found.severity == "error"] == []


def chain(text: Callable[[int], Any], length: int) -> dict[str, Any]:
    """Types that each stand for the next one."""
    types = {f"T{level}": text(level + 1) for level in range(length)} | {f"T{length}": "int"}
    return document({"let": 1}, types=types, **{"in": {"a": "T0"}})


@pytest.mark.parametrize(
    "flow",
    [
        chain(lambda level: {"a": f"T{level}", "b": f"T{level}"}, 40),
        chain(lambda level: f"list<T{level}> | map<T{level}>", 40),
        chain(lambda level: "list<" * 30 + f"T{level}" + ">" * 30, 40),
        chain(lambda level: f"T{level}", 3_000),
        chain(lambda level: f"T{level}?", 3_000),
        document({"let": 1}, **{"in": {f"a{i}": "int" for i in range(20)}, "out": {f"a{i}": "int" for i in range(aliases.MAX_PARTS)}}),
    ],
    ids=["twice each", "unions", "deep", "long", "long and null", "wide"],
)  # fmt: skip
def test_types_that_are_huge_when_written_out_are_one_mistake(flow: dict[str, Any]) -> None:
    (found,) = mistakes(flow)
    assert (found.code, found.line) == ("E126", 1)
    assert found.column > 1


def test_many_uses_of_a_large_type_are_too_large_together() -> None:
    types = {"T": {f"f{i}": "int" for i in range(aliases.MAX_PARTS // 2)}}
    (found,) = mistakes(document({"let": 1}, types=types, **{"in": {f"a{i}": "T" for i in range(200)}}))
    assert found.code == "E126"


def test_a_written_union_has_an_end() -> None:
    options = "|".join(f"list<{{a{i}: int}}>" for i in range(1_000))
    (found,) = mistakes(document({"let": 1}, **{"in": {"a": options}}))
    assert (found.code, found.pointer) == ("E127", "/in/a")


def test_a_deep_union_is_compared_once() -> None:
    deep = " | ".join("list<" * 30 + name + ">" * 30 for name in ("int", "string", "bool"))
    assert mistakes(document({"let": 1}, **{"in": {"a": deep}})) == ()


def test_a_join_of_very_many_kinds_is_json_with_all_their_labels() -> None:
    kinds = [record({f"a{i}": labelled(INT, frozenset({f"l{i % 2}"}))}) for i in range(MAX_OPTIONS + 1)]
    assert join(*kinds) == labelled(JSON, frozenset({"l0", "l1"}))
    assert isinstance(join(*kinds[:MAX_OPTIONS]), UnionType)
    assert isinstance(join(*kinds, ListType(BYTES)), UnionType)


def test_what_two_options_both_hold_stands_once() -> None:
    inside = ListType(UnionType((INT, STRING), frozenset({"pii"})))
    same = ListType(UnionType((labelled(INT, frozenset({"pii"})), labelled(STRING, frozenset({"pii"})))))
    assert join(inside, same) == join(same, inside)
    assert show(join(inside, same)).count("list") == 1


def test_a_list_of_very_many_parts_is_held_to_its_type_part_by_part() -> None:
    agents = {"a": {"in": {"v": "list<" * 20 + "{q: int}" + ">" * 20}, "out": "int"}}
    value = nested(lambda of, _: [of], 19, [{"q": f"=1 + {i}"} for i in range(300)] + [{"q": "x"}, {"p": 1}])
    found = mistakes(document({"call": "a", "with": {"v": value}}, agents=agents))
    assert [one.code for one in found] == ["E310", "E311"]


def test_messages_do_not_grow_with_types() -> None:
    agents = {"a": {"in": {f"y{i}": "int" for i in range(1_000)}, "out": "int"}}
    found = mistakes(document({"call": "a", "with": {f"x{i}": 1 for i in range(1_000)}}, agents=agents))
    assert len(found) == 1_000
    assert max(len(one.message) + len(one.hint) for one in found) < 2_100
