from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.suites import flow_files

from stratarouter_runtime.tcfp import documents, ir
from stratarouter_runtime.tcfp.durations import MAX_DURATION
from stratarouter_runtime.tcfp.ir import Constant, Expression, ListValue, RecordValue, Where
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.text import MAX_BYTES
from stratarouter_runtime.tcfp.types import INT, NULL, STRING, ListType, RecordType, Ref, UnionType
from stratarouter_runtime.tcfp.writer import strip, write, write_signature

EVERYTHING = Path(__file__).with_name("everything.yaml").read_text(encoding="utf-8")
FLOWS = [path.read_text(encoding="utf-8") for path in flow_files()]
NAMES = [path.name for path in flow_files()]


def loaded(source: str | dict[str, Any]) -> ir.Flow:
    result = load(source if isinstance(source, str) else json.dumps(source))
    assert result.diagnostics == ()
    assert result.flow is not None
    return result.flow


@pytest.mark.parametrize("source", [EVERYTHING, *FLOWS], ids=["everything", *NAMES])
def test_what_is_written_loads_as_an_equal_flow(source: str) -> None:
    flow = loaded(source)
    document = write(flow)
    again = loaded(document)
    assert strip(again) == strip(flow)
    assert write(again) == document


@pytest.mark.parametrize("source", [EVERYTHING, *FLOWS], ids=["everything", *NAMES])
def test_what_is_written_is_no_deeper_than_the_source(source: str) -> None:
    flow = loaded(source)
    deepest = max(pointer.count("/") for pointer in flow.places)
    assert max(pointer.count("/") for pointer in loaded(write(flow)).places) <= deepest


def test_what_has_its_default_is_left_out() -> None:
    flow = ir.Flow("f", (), INT, ir.Do((ir.Step(ir.Call("a", RecordValue(()))),)), {})
    assert write(flow) == {"tcfp": "1.0", "flow": "f", "out": "int", "do": [{"call": "a", "with": {}}]}
    assert write_signature(ir.Signature(RecordType(()), NULL)) == {"out": "null"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Constant("=x"), "==x"),
        (Constant("==x"), "===x"),
        (Constant(""), ""),
        (Constant(None), None),
        (Constant(1.0), 1.0),
        (Expression("a + b"), "=a + b"),
        (ListValue((Constant(1), Expression("x"))), [1, "=x"]),
        (RecordValue((("b", Constant("=")), ("a", Constant(2)))), {"b": "==", "a": 2}),
    ],
)
def test_values(value: ir.Value, expected: Any) -> None:
    flow = ir.Flow("f", (), INT, ir.Do((), value), {})
    document = write(flow)
    assert document["return"] == expected
    assert type(document["return"]) is type(expected)
    assert strip(loaded(document)) == flow


def test_a_bare_block_is_written_as_a_list() -> None:
    block = ir.Step(ir.Do((ir.Step(ir.Sleep(1)),)))
    named = replace(block, id="x")
    flow = ir.Flow("f", (), INT, ir.Do((ir.Step(ir.Par((("a", block), ("b", named)))),)), {})
    assert write(flow)["do"] == [
        {"par": {"a": [{"sleep": "1us"}], "b": {"id": "x", "do": [{"sleep": "1us"}]}}}
    ]


def test_strip_takes_away_every_position() -> None:
    flow = loaded(EVERYTHING)
    assert "Where(pointer=''" in repr(strip(flow))
    assert "line=1" not in repr(strip(flow))
    assert strip(flow).places == {}
    assert strip(Ref("Doc", 3, 4)) == Ref("Doc")
    assert strip(Constant(1, Where("/a", 1, 2))) == Constant(1)
    assert strip((ListType(Ref("A", 1, 1)),)) == (ListType(Ref("A")),)


def build(kind: Callable[..., Any], *parts: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]) -> Any:
    """Like `st.builds`, which would look for type hints that records do not have at run time."""
    return st.builds(lambda *args, **fields: kind(*args, **fields), *parts, **named)  # noqa: PLW0108 - hides the hints


NAME = st.sampled_from(["a", "b", "c_1", "Dé"]).filter(str.isascii)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TYPE = st.sampled_from([INT, STRING, NULL, ListType(Ref("T")), UnionType((Ref("T"), NULL))])
DURATION = st.integers(1, MAX_DURATION)
CONSTANT = build(
    Constant,
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
)
EXPRESSION = build(Expression, TEXT.filter(lambda text: not text.startswith("=")))
VALUE = st.recursive(
    CONSTANT | EXPRESSION,
    lambda inner: (
        build(ListValue, st.lists(inner, max_size=3).map(tuple))
        | build(
            RecordValue, st.dictionaries(TEXT, inner, max_size=3).map(lambda fields: tuple(fields.items()))
        )
    ),
    max_leaves=4,
)
SOME_VALUE = st.none() | VALUE
WORDS = st.lists(NAME, max_size=2).map(tuple)
LIMITS = build(
    ir.Limits,
    usd=st.none() | st.floats(0, 100),
    tokens=st.none() | st.integers(0, 9),
    time=st.none() | DURATION,
    steps=st.none() | st.integers(1, 9),
    parallel=st.none() | st.integers(1, 9),
    hosts=st.none() | WORDS,
    labels=st.none() | WORDS,
)
LEAF = (
    build(ir.Call, TEXT, VALUE)
    | build(ir.Let, VALUE, st.none() | TYPE)
    | build(ir.Ask, TYPE, DURATION, st.none() | TEXT, SOME_VALUE, SOME_VALUE)
    | build(ir.Sleep, DURATION)
    | build(ir.Fail, TEXT, SOME_VALUE, SOME_VALUE)
    | build(
        ir.Route,
        VALUE,
        st.lists(NAME, min_size=1, max_size=2).map(tuple) | build(ir.Among, TEXT, TYPE),
        VALUE,
        st.lists(build(ir.Rule, VALUE, TEXT), max_size=2).map(tuple),
        st.none() | st.floats(0, 1),
        st.none() | TEXT,
    )
)


def _step(does: st.SearchStrategy[Any], inner: st.SearchStrategy[ir.Step]) -> st.SearchStrategy[ir.Step]:
    catch = build(ir.Catch, st.lists(NAME, min_size=1, max_size=2).map(tuple), inner, NAME)
    retry = build(ir.Retry, st.integers(0, 9), DURATION, st.floats(1, 9), WORDS, st.booleans())
    return st.builds(
        lambda does, time, **rest: ir.Step(does, time=None if isinstance(does, ir.Ask) else time, **rest),
        does,
        st.none() | DURATION,
        id=st.none() | NAME,
        guard=SOME_VALUE,
        retry=st.none() | retry,
        catch=st.lists(catch, max_size=1).map(tuple),
        undo=st.none() | inner,
        limits=st.none() | LIMITS,
        note=TEXT,
    )


def _block(inner: st.SearchStrategy[ir.Step]) -> st.SearchStrategy[ir.Step]:
    branches = st.dictionaries(NAME, inner, min_size=1, max_size=2).map(lambda named: tuple(named.items()))
    some_name = st.none() | NAME
    does = (
        build(ir.Do, st.lists(inner, max_size=2).map(tuple), SOME_VALUE)
        | build(ir.Match, VALUE, branches, st.none() | inner)
        | build(ir.Par, branches)
        | build(ir.Race, branches)
        | build(ir.Each, VALUE, inner, st.integers(1, 9), some_name, some_name, st.none() | st.integers(1, 9))
        | build(ir.Loop, VALUE, VALUE, inner, st.integers(1, 9), some_name, SOME_VALUE, st.none() | TYPE)
    )
    return _step(does, inner)


PLAIN_STEP = build(ir.Step, LEAF)
STEPS = st.recursive(_step(LEAF, PLAIN_STEP), _block, max_leaves=3)
BLOCK = ir.Step(ir.Do((ir.Step(ir.Sleep(1)),)))


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
)
@given(st.lists(STEPS, max_size=2).map(tuple), SOME_VALUE)
@example((ir.Step(ir.Each(Constant(1), BLOCK, 1), undo=BLOCK),), None)
def test_any_flow_loads_back(steps: tuple[ir.Step, ...], result: ir.Value | None) -> None:
    flow = ir.Flow("f", (("x", INT),), INT, ir.Do(steps, result), {"T": STRING})
    assert strip(loaded(write(flow))) == flow


def test_a_flow_of_the_largest_size_can_be_read_from_the_document_of_its_plan() -> None:
    head = 'tcfp: "1.0"\nflow: f\nout: json\ndo: []\nreturn: x'
    source = head + '"' * (MAX_BYTES - len(head))
    flow = loaded(source)
    document = documents.write(flow, (), "")
    assert len(document) > MAX_BYTES
    read_back, registry, router = documents.read(document)
    assert strip(read_back) == strip(flow)
    assert (registry, router) == ({}, "")
