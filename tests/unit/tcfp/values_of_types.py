"""Types drawn at random, and values that fit them: what properties of values are tried on."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from stratarouter_runtime.tcfp.relations import join
from stratarouter_runtime.tcfp.times import duration_text, time_text
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    DURATION,
    FILE,
    FLOAT,
    INT,
    JSON,
    NULL,
    STRING,
    TIME,
    EnumType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Type,
    UnionType,
    enum,
    labelled,
    record,
)

NAMES = st.sampled_from(["a", "b", "kind", "note", "größe", "a/b"])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LABELS = st.sampled_from([frozenset[str](), frozenset[str](), frozenset({"pii"}), frozenset({"a", "b"})])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INTS = st.integers(-(2**53) + 1, 2**53 - 1)
JSONS = st.recursive(
    st.none() | st.booleans() | INTS | FLOATS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
_SCALARS = st.sampled_from([BOOL, INT, FLOAT, STRING, BYTES, TIME, DURATION, FILE, JSON, NULL])


def _labelled(types: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    return st.builds(labelled, types, LABELS)


def types() -> st.SearchStrategy[Type]:
    """Resolved types of every kind, in normal form."""
    leaves: st.SearchStrategy[Type] = _labelled(
        _SCALARS | st.builds(enum, st.lists(WORDS, min_size=1, max_size=3))
    )
    return st.recursive(
        leaves,
        lambda inner: _labelled(
            st.builds(ListType, inner)
            | st.builds(MapType, inner)
            | st.builds(record, st.dictionaries(NAMES, inner, max_size=3))
            | st.builds(join, inner, inner)
        ),
        max_leaves=6,
    )


def values(type_: Type) -> st.SearchStrategy[Any]:
    """Values that fit the type, in JSON form."""
    match type_:
        case Primitive():
            return _SCALAR_VALUES[type_.name]
        case EnumType():
            return st.sampled_from(type_.members)
        case ListType():
            return st.lists(values(type_.item), max_size=3)
        case MapType():
            return st.dictionaries(WORDS, values(type_.value), max_size=3)
        case RecordType():
            return st.fixed_dictionaries({name: values(of) for name, of in type_.fields})
        case UnionType():
            return st.one_of([values(option) for option in type_.options])
        case _:
            raise AssertionError(type_)


def typed_values() -> st.SearchStrategy[tuple[Type, Any]]:
    """A type, and a value of it."""
    return types().flatmap(lambda type_: values(type_).map(lambda value: (type_, value)))


_SCALAR_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": INTS,
    "float": FLOATS | INTS,
    "string": WORDS,
    "bytes": st.sampled_from(["", "aGk=", "AAAA"]),
    "time": st.integers(-(10**15), 10**16).map(time_text),
    "duration": st.integers(-(10**12), 10**12).map(duration_text),
    "file": st.just({"digest": "a" * 64, "size": 3, "media": "text/plain"}),
    "json": JSONS,
    "null": st.none(),
}
