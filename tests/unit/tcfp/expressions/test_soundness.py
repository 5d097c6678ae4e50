"""The promise of the checker: what it accepts evaluates to a value of its type, or fails as an expression does."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.tcfp.expressions.expressing import ENVIRONMENT, check

from stratarouter_runtime.tcfp.expressions import ExpressionFailed
from stratarouter_runtime.tcfp.plan import Code
from stratarouter_runtime.tcfp.types import (
    EnumType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Type,
    UnionType,
    show,
)

PYTHON: Final = {"bool": bool, "int": int, "string": str, "bytes": bytes, "time": str, "duration": str}


def fits(value: Any, type_: Type) -> bool:  # noqa: C901 - one case a kind of type
    """Whether `value` is one of `type_`: the plain reading of the types, knowing nothing of projection."""
    match type_:
        case Primitive(name="json"):
            return True
        case Primitive(name="null"):
            return value is None
        case Primitive(name="float"):
            return type(value) in (float, int)
        case Primitive(name="file"):
            return isinstance(value, dict)
        case Primitive():
            return type(value) is PYTHON.get(type_.name)
        case EnumType():
            return value in type_.members
        case ListType():
            return isinstance(value, list) and all(fits(item, type_.item) for item in value)
        case MapType():
            return isinstance(value, dict) and all(fits(item, type_.value) for item in value.values())
        case RecordType():
            return isinstance(value, dict) and all(
                name in value and fits(value[name], of) for name, of in type_.fields
            )
        case UnionType():
            return any(fits(value, option) for option in type_.options)
        case _:
            return False


def binary(operators: list[str], *of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda left, operator, right: f"({left} {operator} {right})",
        st.one_of(*of), st.sampled_from(operators), st.one_of(*of),
    )  # fmt: skip


def template(text: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda found: text.format(*found))


bools: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.sampled_from(["b", "true", "(n / zero == 1)", "(ns[9] > 0)"])
        | binary(["&&", "||"], bools)
        | binary(["==", "!=", "<", "<=", ">", ">="], ints)
        | binary(["==", "!=", "<", ">="], floats)
        | binary(["==", "!=", "<", ">="], texts)
        | template("!{}", bools)
        | template("({} in {})", ints, int_lists)
        | template("({} == null)", nullables)
        | template("{}.{}(i, {})", int_lists, st.sampled_from(["all", "exists", "exists_one"]), bools)
        | template("{}.contains({})", texts, texts)
        | template("({} == {})", int_lists, int_lists)
    )
)
ints: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.sampled_from(["n", "zero", "1", "-3", "9223372036854775807", "ns[0]", "m.a"])
        | binary(["+", "-", "*", "/", "%"], ints)
        | template("-({})", ints)
        | template("size({})", st.one_of(texts, int_lists))
        | template("({} ? {} : {})", bools, ints, ints)
        | template("{}.{}()", int_lists, st.sampled_from(["sum", "min", "max"]))
        | template("{}[{}]", int_lists, ints)
        | template("int({})", st.one_of(floats, texts))
    )
)
floats: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.sampled_from(["x", "0.0", "-1.5", "1e308", "c.confidence"])
        | binary(["+", "-", "*", "/"], floats)
        | template("double({})", st.one_of(ints, texts))
        | template("xs.map(y, {}).sum()", floats)
        | template("({} ? {{v: {}}} : {{v: {}}}).v", bools, ints, floats)
    )
)
texts: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.sampled_from(["s", "'7'", "c.intent", "note.orValue('-')", "(p != null ? p.page : s)"])
        | binary(["+"], texts)
        | template("string({})", st.one_of(ints, floats, bools))
        | template("{}.substring({})", texts, ints)
        | template("{}.replace({}, {})", texts, texts, texts)
        | template("{}.map(w, string(w)).join({})", int_lists, texts)
        | template("{}.orValue({})", nullables, texts)
        | template("string({})", moments)
        | template("{}.split({})[{}]", texts, texts, ints)
        | template("words.map(w, {} + w).sort().max()", texts)
    )
)
moments: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.sampled_from(["t", "later", "d", "longer", "(later - t)", "(t + d)"])
        | template("({} ? t : later)", bools)
        | template("(t + (longer {} d))", st.sampled_from(["+", "-"]))
    )
)
nullables: st.SearchStrategy[str] = st.deferred(
    lambda: st.sampled_from(["note", "docs[1].title"]) | template("({} ? {} : null)", bools, texts)
)
int_lists: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.sampled_from(["ns", "[1, 2]", "nested[0]", "nested.flatten()", "m.map(k, m[k])"])
        | template("[{}, {}]", ints, ints)
        | binary(["+"], int_lists)
        | template("{}.filter(i, {})", int_lists, bools)
        | template("{}.map(i, {})", int_lists, ints)
        | template("{}.map(i, {}, {} + i)", int_lists, bools, ints)
        | template("{}.{}()", int_lists, st.sampled_from(["sort", "distinct"]))
        | template("{}.slice({})", int_lists, ints)
    )
)
values = st.one_of(
    bools, ints, floats, texts, nullables, int_lists, template("{{a: {}, b: [{}]}}", ints, nullables)
)


@given(values)
def test_what_is_accepted_has_a_value_of_its_type_or_fails(source: str) -> None:
    code, found = check(source)
    if found:
        # What this grammar writes is well typed; it may only be too long, too deep, or compare what cannot be equal.
        assert {one.code for one in found} <= {"E203", "E204", "E205", "E216"}, [str(one) for one in found]
        return
    value, why = attempt(code)
    assert why or fits(value, code.type), f"{value!r} is no {show(code.type)}"
    assert repr(attempt(code)) == repr((value, why))


def attempt(code: Code) -> tuple[Any, str]:
    """The value, or why there is none; anything but `ExpressionFailed` is a fault of ours."""
    try:
        return code.run(ENVIRONMENT), ""
    except ExpressionFailed as problem:
        return None, str(problem)
