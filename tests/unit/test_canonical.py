from __future__ import annotations

import json
import math
from typing import Any

import pytest
import rfc8785
from blake3 import blake3
from hypothesis import example, given
from hypothesis import strategies as st

from stratarouter_runtime import canonical as canonical_module
from stratarouter_runtime.canonical import (
    AGENT,
    CALL,
    FLOW,
    GENESIS,
    MAX_DEPTH,
    MAX_INTEGER,
    PLAN,
    STEP,
    canonical,
    digest,
    digest_bytes,
    link,
)
from stratarouter_runtime.errors import InvalidInput

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES)
@example([1.0, -0.0, 1e16, 1e21, 1e-7, 0.1, 123456789012345.6])
@example({"\U00010000": 1, "\ue000": 2, "a": 3})
@example({"id": "3e5", "hex": "12e07", "long": "1234567890123456", "s": ",1.0,"})
@example({"float": 12.0})
@example([[[-1e-9]]])
def test_equals_the_exact_writer(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES)
def test_values_that_are_known_to_be_finite_are_written_alike(value: Any) -> None:
    assert canonical(value, finite=True) == canonical(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_written_as_ecmascript_does(number: float) -> None:
    assert canonical(number) == rfc8785.dumps(number)
    assert canonical({"n": [number, 1]}) == rfc8785.dumps({"n": [number, 1]})


@given(st.dictionaries(TEXT, st.lists(TEXT | st.floats(-1e15, 1e15) | st.booleans() | st.none())))
def test_reads_back_as_an_equal_value(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(TEXT, st.integers(0, 9), min_size=2))
def test_the_order_of_keys_does_not_matter(fields: dict[str, int]) -> None:
    backwards = dict(reversed(fields.items()))
    assert canonical(backwards) == canonical(fields)
    assert digest(backwards) == digest(fields)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x00\xff", b'"AP8="'),
        ({"b": [bytearray(b"a"), memoryview(b"b")]}, b'{"b":["YQ==","Yg=="]}'),
        ({"b": b"a", "f": 1.0}, b'{"b":"YQ==","f":1}'),
        ((1, 2), b"[1,2]"),
        ((1.0, 2), b"[1,2]"),
        (MAX_INTEGER, b"9007199254740991"),
        (-MAX_INTEGER, b"-9007199254740991"),
        (True, b"true"),
        ({"a": None}, b'{"a":null}'),
        ("\x00\x1f\x7f\u2028/", '"\\u0000\\u001f\x7f\u2028/"'.encode()),
    ],
)
def test_writes(value: Any, expected: bytes) -> None:
    assert canonical(value) == expected


@pytest.mark.parametrize(
    ("value", "pointer", "says"),
    [
        (math.nan, "", "nan is no JSON number"),
        ({"a": [1, math.inf]}, "/a/1", "inf is no JSON number"),
        ({"a": None, "b": -math.inf}, "/b", "-inf is no JSON number"),
        ([MAX_INTEGER + 1], "/0", "an integer is beyond ±(2^53-1)"),
        ({"n": -MAX_INTEGER - 1}, "/n", "an integer is beyond ±(2^53-1)"),
        (2**80, "", "an integer is beyond ±(2^53-1)"),
        ({"a": {1: 2}}, "/a", "the key 1 is no string"),
        ({"a/b~": {"c": object()}}, "/a~1b~0/c", "a object cannot be written as JSON"),
        (["\ud800"], "/0", "half of a surrogate pair"),
        ({"\udfff": 1}, "", "half of a surrogate pair"),
        ({1, 2}, "", "a set cannot be written as JSON"),
    ],
)
def test_refuses(value: Any, pointer: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        canonical(value)
    assert says in refused.value.message
    assert refused.value.pointer == pointer
    assert refused.value.hint


def nested(depth: int, core: Any) -> Any:
    for _ in range(depth):
        core = [core]
    return core


@pytest.mark.parametrize("core", [1, 1.0])
def test_depth_is_bounded(core: float) -> None:
    assert canonical(nested(MAX_DEPTH, core)) == b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH
    with pytest.raises(InvalidInput, match="nests deeper"):
        canonical(nested(MAX_DEPTH + 1, core))
    with pytest.raises(InvalidInput, match="nests deeper"):
        canonical(nested(100_000, core))


def test_ordinary_values_never_take_the_slow_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(value: Any) -> bytes:
        raise AssertionError(value)

    monkeypatch.setattr(canonical_module, "_exact", slow)
    value = {"id": "9e8d" * 16, "n": 12, "score": 0.8125, "page": None, "é": ["Straße", True, ",x"]}
    assert json.loads(canonical(value))["score"] == 0.8125


def test_digests_of_different_contexts_differ() -> None:
    contexts = [None, FLOW, STEP, CALL, PLAN, AGENT]
    digests = {digest_bytes(b"same", context) for context in contexts}
    assert len(digests) == len(contexts)
    assert all(len(one) == 64 for one in digests)


def test_digest_is_blake3_of_the_canonical_bytes() -> None:
    assert digest({"b": 1.0, "a": None}) == blake3(b'{"a":null,"b":1}').hexdigest()
    assert digest_bytes(b"x", FLOW) == blake3(b"x", derive_key_context="tcfp 1.0 flow").hexdigest()


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
@example([b"ab", b"c"], [b"a", b"bc"])
@example([b""], [])
def test_links_of_different_parts_differ(left: list[bytes], right: list[bytes]) -> None:
    assert (link(GENESIS, *left) == link(GENESIS, *right)) == (left == right)


def test_a_link_depends_on_the_one_before() -> None:
    first = link(GENESIS, b"a")
    assert len(first) == len(GENESIS) == 32
    assert link(first, b"a") != first
