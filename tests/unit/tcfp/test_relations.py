"""Assignability, joins and what they say about labels, by example and by law."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.tcfp.relations import (
    assignable,
    comparable,
    explain,
    is_null,
    join,
    label_problem,
    labels_of,
    nullable,
    optional,
    options_of,
    without_labels,
    without_null,
)
from stratarouter_runtime.tcfp.types import (
    BOOL,
    BYTES,
    DURATION,
    FILE,
    FLOAT,
    INT,
    JSON,
    NEVER,
    NULL,
    STRING,
    TIME,
    UNKNOWN,
    EnumType,
    ListType,
    MapType,
    RecordType,
    Ref,
    Type,
    UnionType,
    enum,
    labelled,
    record,
    show,
)

PII = frozenset({"pii"})
SECRET = frozenset({"secret"})
PRIVATE = labelled(STRING, PII)
AB = enum("ab")
POINT = record({"x": INT, "y": INT})

SCALARS = [BOOL, INT, FLOAT, STRING, BYTES, TIME, DURATION, FILE, JSON, NULL]


def types(labels: st.SearchStrategy[frozenset[str]] | None = None) -> st.SearchStrategy[Type]:
    """Types in normal form, as flows can write them."""
    carried = labels if labels is not None else st.frozensets(st.sampled_from(["pii", "secret"]), max_size=1)
    leaves: st.SearchStrategy[Type] = st.one_of(
        st.sampled_from(SCALARS), st.builds(enum, st.sets(st.sampled_from("abc"), min_size=1))
    )
    plain = st.recursive(
        leaves,
        lambda of: st.one_of(
            st.builds(ListType, of),
            st.builds(MapType, of),
            st.builds(record, st.dictionaries(st.sampled_from("xyz"), of, max_size=3)),
            st.lists(of, min_size=1, max_size=3).map(lambda found: join(*found)),
        ),
        max_leaves=6,
    )
    return st.builds(lambda type_, marks: type_ if is_null(type_) else labelled(type_, marks), plain, carried)


BARE = types(st.just(frozenset()))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        *((type_, type_) for type_ in SCALARS),
        *((NEVER, type_) for type_ in SCALARS),
        (INT, FLOAT),
        (AB, enum("abc")),
        (AB, STRING),
        (enum("a"), AB),
        (ListType(INT), ListType(FLOAT)),
        (ListType(NEVER), ListType(STRING)),
        (MapType(AB), MapType(STRING)),
        (POINT, record({"x": INT})),
        (record({}), record({"x": optional(INT)})),
        (record({}), record({"x": JSON})),
        (INT, optional(FLOAT)),
        (NULL, optional(INT)),
        (optional(INT), optional(FLOAT)),
        (join(INT, STRING), join(STRING, BOOL, FLOAT)),
        *(
            (type_, JSON)
            for type_ in (BOOL, INT, FLOAT, STRING, NULL, AB, ListType(POINT), MapType(INT), POINT)
        ),
        (optional(POINT), JSON),
        (STRING, PRIVATE),
        (labelled(NULL, PII), optional(STRING)),
        (UNKNOWN, INT),
        (INT, UNKNOWN),
        (record({"x": UNKNOWN, "y": INT}), POINT),
    ],
    ids=show,
)
def test_fits(a: Type, b: Type) -> None:
    assert assignable(a, b)
    assert explain(a, b) == ""
    assert label_problem(a, b) is None


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (FLOAT, INT, "float is not int"),
        (STRING, AB, "string is not [a, b]"),
        (enum("abc"), AB, "[a, b, c] is not [a, b]"),
        (JSON, STRING, "json is not string"),
        (BYTES, JSON, "bytes is not json"),
        (optional(INT), INT, "null is not int"),
        (NULL, INT, "null is not int"),
        (TIME, STRING, "time is not string"),
        (POINT, MapType(INT), "{x: int, y: int} is not map<int>"),
        (ListType(STRING), ListType(INT), "[]: string is not int"),
        (MapType(STRING), MapType(INT), "*: string is not int"),
        (record({"x": INT}), POINT, "y: missing, int is required"),
        (record({"p": record({"x": STRING, "y": INT})}), record({"p": POINT}), "p.x: string is not int"),
        (record({"p": ListType(record({"x": BOOL}))}), record({"p": ListType(record({"x": INT}))}), "p[].x: bool is not int"),
        (record({"x": STRING}), optional(record({"x": INT})), "x: string is not int"),
        (BOOL, optional(INT), "bool is not int?"),
        (BOOL, join(INT, STRING), "bool is not int | string"),
        (join(INT, BOOL), INT, "bool is not int"),
        (Ref("A"), Ref("B"), "A is not B"),
    ],
)  # fmt: skip
def test_does_not_fit_and_says_where(a: Type, b: Type, said: str) -> None:
    assert not assignable(a, b)
    assert explain(a, b) == said
    assert label_problem(a, b) is None


def test_a_misfit_names_the_path_from_its_root() -> None:
    given_, wanted = record({"lang": INT}), record({"lang": STRING})
    assert (
        explain(record({"ticket": given_}), record({"ticket": wanted}), "with")
        == "with.ticket.lang: int is not string"
    )
    assert explain(INT, STRING, "with") == "with: int is not string"


@pytest.mark.parametrize(
    ("a", "b", "where"),
    [
        (PRIVATE, STRING, ""),
        (PRIVATE, labelled(STRING, SECRET), ""),
        (labelled(enum("a"), PII), STRING, ""),
        (labelled(INT, PII), FLOAT, ""),
        (PRIVATE, optional(STRING), ""),
        (optional(PRIVATE), optional(STRING), ""),
        (ListType(PRIVATE), ListType(STRING), "[]: "),
        (labelled(ListType(STRING), PII), ListType(STRING), ""),
        (MapType(PRIVATE), MapType(STRING), "*: "),
        (record({"x": PRIVATE}), record({"x": STRING}), "x: "),
        (labelled(POINT, PII), POINT, ""),
        (record({"x": PRIVATE}), JSON, ""),
        (PRIVATE, join(INT, STRING), ""),
    ],
)
def test_a_label_in_the_way_is_told_from_a_wrong_type(a: Type, b: Type, where: str) -> None:
    said = f"{where}value carries @pii, which the receiver does not accept"
    assert explain(a, b) == said
    assert label_problem(a, b) == said
    assert assignable(without_labels(a), b)
    assert assignable(a, labelled_everywhere(b))


def labelled_everywhere(type_: Type) -> Type:
    match type_:
        case ListType():
            return labelled(ListType(labelled_everywhere(type_.item)), PII)
        case MapType():
            return labelled(MapType(labelled_everywhere(type_.value)), PII)
        case RecordType():
            return labelled(record({name: labelled_everywhere(of) for name, of in type_.fields}), PII)
        case _:
            return labelled(type_, PII)


def test_a_wrong_type_is_said_before_a_label() -> None:
    a = record({"a": PRIVATE, "b": INT})
    assert explain(a, record({"a": STRING, "b": STRING})) == "b: int is not string"


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], "never"),
        ([NEVER, INT], "int"),
        ([INT, FLOAT], "float"),
        ([enum("a"), enum("b")], "[a, b]"),
        ([AB, STRING], "string"),
        ([INT, NULL], "int?"),
        ([NULL, NULL], "null"),
        ([optional(INT), optional(STRING)], "(int | string)?"),
        ([ListType(NEVER), ListType(STRING)], "list<string>"),
        ([ListType(INT), ListType(STRING)], "list<int> | list<string>"),
        ([MapType(INT), MapType(FLOAT)], "map<float>"),
        ([JSON, STRING, NULL, POINT], "json"),
        ([JSON, BYTES], "bytes | json"),
        ([POINT, record({"x": INT})], "{x: int, y: int} | {x: int}"),
        ([record({"x": enum("a")}), record({"x": AB})], "{x: [a, b]}"),
        ([PRIVATE, STRING], "string @pii"),
        ([PRIVATE, NULL], "string @pii?"),
        ([labelled(enum("a"), PII), labelled(enum("b"), SECRET)], "[a, b] @pii @secret"),
        ([labelled(enum("a"), PII), STRING], "string @pii"),
        ([labelled(INT, PII), FLOAT], "float @pii"),
        ([ListType(PRIVATE), JSON], "json @pii"),
        ([labelled(NULL, PII), INT], "int?"),
        ([UNKNOWN, INT], "?"),
    ],
)
def test_join(parts: list[Type], whole: str) -> None:
    assert show(join(*parts)) == whole


def test_the_labels_of_a_union_are_those_of_its_options() -> None:
    assert options_of(labelled(optional(STRING), PII)) == (PRIVATE, NULL)
    assert join(labelled(optional(STRING), PII)) == optional(PRIVATE)


@pytest.mark.parametrize("type_", [NULL, JSON, optional(INT), UNKNOWN])
def test_nullable(type_: Type) -> None:
    assert nullable(type_)


@pytest.mark.parametrize("type_", [INT, STRING, AB, POINT, ListType(NULL), join(INT, STRING)])
def test_not_nullable(type_: Type) -> None:
    assert not nullable(type_)
    assert without_null(optional(type_)) == type_
    assert nullable(optional(type_))


def test_null_without_null_is_nothing() -> None:
    assert without_null(NULL) == NEVER


def test_labels_are_found_at_any_depth() -> None:
    deep = labelled(
        record({"a": ListType(PRIVATE), "m": MapType(optional(labelled(INT, SECRET)))}), frozenset({"own"})
    )
    assert labels_of(deep) == {"pii", "secret", "own"}
    assert labels_of(without_labels(deep)) == frozenset()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (AB, enum("bc")),
        (AB, STRING),
        (optional(INT), NULL),
        (INT, FLOAT),
        (JSON, POINT),
        (ListType(AB), ListType(STRING)),
        (record({"x": INT}), record({"x": INT, "y": optional(INT)})),
        (record({"x": INT}), MapType(INT)),
        (MapType(INT), MapType(FLOAT)),
        (join(INT, STRING), enum("a")),
        (PRIVATE, enum("a")),
        (UNKNOWN, INT),
        (NEVER, INT),
    ],
)
def test_can_be_equal(a: Type, b: Type) -> None:
    assert comparable(a, b)
    assert comparable(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (AB, enum("c")),
        (INT, STRING),
        (INT, BOOL),
        (TIME, STRING),
        (INT, NULL),
        (JSON, BYTES),
        (ListType(INT), ListType(STRING)),
        (MapType(INT), MapType(BOOL)),
        (record({"x": INT}), POINT),
        (record({"x": STRING}), MapType(INT)),
        (POINT, INT),
    ],
)
def test_can_never_be_equal(a: Type, b: Type) -> None:
    assert not comparable(a, b)
    assert not comparable(b, a)


# Laws.


@given(types())
def test_assignable_is_reflexive(a: Type) -> None:
    assert assignable(a, a)
    assert comparable(a, a)


@given(types(), types())
def test_join_is_an_upper_bound(a: Type, b: Type) -> None:
    whole = join(a, b)
    assert assignable(a, whole), explain(a, whole)
    assert assignable(b, whole), explain(b, whole)


@given(BARE, BARE, BARE)
def test_join_is_below_every_other_bound_that_is_a_join(a: Type, b: Type, c: Type) -> None:
    bound = join(a, b, c)
    assert assignable(join(a, b), bound), explain(join(a, b), bound)


@given(types(), types())
def test_join_is_commutative(a: Type, b: Type) -> None:
    assert join(a, b) == join(b, a)


@given(types(), types(), types())
def test_join_is_associative(a: Type, b: Type, c: Type) -> None:
    assert join(join(a, b), c) == join(a, join(b, c)) == join(a, b, c)


@given(types())
def test_join_is_idempotent(a: Type) -> None:
    once = join(a)
    assert join(once, once) == once
    assert join(once) == once
    assert join(once, NEVER) == once


@given(types(), types())
def test_join_loses_no_label(a: Type, b: Type) -> None:
    whole = join(a, b)
    assert labels_of(whole) == labels_of(join(a)) | labels_of(join(b))


@given(types(), types())
def test_explain_and_assignable_agree(a: Type, b: Type) -> None:
    assert assignable(a, b) == (explain(a, b) == "")
    if label_problem(a, b) is not None:
        assert assignable(without_labels(a), without_labels(b))


@given(types(), types())
def test_a_union_is_flat_sorted_and_larger_than_one(a: Type, b: Type) -> None:
    whole = join(a, b)
    if isinstance(whole, UnionType):
        assert len(whole.options) > 1
        assert not any(isinstance(option, UnionType) for option in whole.options)
        assert sum(isinstance(option, EnumType) for option in whole.options) <= 1
        assert not any(is_null(option) for option in whole.options[:-1])


def widened(type_: Type) -> st.SearchStrategy[Type]:
    """Types that `type_` fits: one step up by each rule, at any depth, leaving no field out."""
    match type_:
        case ListType():
            up: st.SearchStrategy[Type] = widened(type_.item).map(ListType)
        case MapType():
            up = widened(type_.value).map(MapType)
        case RecordType():
            up = st.tuples(*(st.tuples(st.just(name), widened(of)) for name, of in type_.fields)).map(
                RecordType
            )
        case EnumType():
            up = st.sampled_from([type_, STRING, enum((*type_.members, "z"))])
        case UnionType():
            up = st.tuples(*map(widened, type_.options)).map(lambda found: join(*found))
        case _:
            up = st.sampled_from([type_, FLOAT] if type_ == INT else [type_])
    up = up.map(lambda found: labelled(found, type_.labels))
    return st.one_of(st.just(type_), up, up.map(optional), up.map(lambda found: labelled(found, PII)))


@given(st.data())
def test_assignable_is_transitive(data: st.DataObject) -> None:
    a = data.draw(BARE)
    b = data.draw(widened(a))
    c = data.draw(widened(b))
    assert assignable(a, b), explain(a, b)
    assert assignable(b, c), explain(b, c)
    assert assignable(a, c), explain(a, c)
