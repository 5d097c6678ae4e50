"""Where exactly a value does not fit, and what is said about it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.tcfp.checking import checked, codes, flow, flow_text, linkable, types

from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.types import BOOL, INT, NULL, STRING, labelled, record
from stratarouter_runtime.tcfp.validator import validate

WRITTEN = [
    ("list<int>", "[1, x, 3]", "E310", "/else/1", "else[1]: [x] is not int"),
    ("list<{a: int}>", "[{ a: 1 }, { a: 1, b: 2 }]", "E311", "/else/1/b", "else[1]: no field 'b' in {a: int}"),
    ("list<{a: int}>", "[{ a: 1 }, {}]", "E310", "/else/1", "else[1]: missing a: int"),
    ("list<int>", "{ a: 1 }", "E310", "/else", "else: {a: int} is not list<int>"),
    ("list<string>", "[=s, =n]", "E310", "/else/1", "else[1]: int is not string"),
    ("map<int>", "{ a: 1, b: x }", "E310", "/else/b", "else.b: [x] is not int"),
    ("map<{a: int}>", "{ k: { a: 1, z: 1 } }", "E311", "/else/k/z", "else.k: no field 'z' in {a: int}"),
    ("{a: {b: int}}", "{ a: { b: 1, c: 2 } }", "E311", "/else/a/c", "else.a: no field 'c' in {b: int}"),
    ("{a: {b: int}}", "{ a: { b: x } }", "E310", "/else/a/b", "else.a.b: [x] is not int"),
    ("{a: {b: int}?}", "{ a: { b: x } }", "E310", "/else/a/b", "else.a.b: [x] is not int"),
    ("{a: int, b: string?}", "{ b: x }", "E310", "/else", "else: missing a: int"),
    ("{a: int}", "{ a: =maybe }", "E310", "/else/a", "else.a: string is not int"),
    ("{a: string}", "{ a: =maybe }", "E310", "/else/a", "else.a: string? may be null here"),
    ("{a: string}", "{ a: null }", "E310", "/else/a", "else.a: null is not string"),
    ("{kind: [a], x: int} | {kind: [b], y: int}", "{ kind: b, y: z }", "E310", "/else/y", "else.y: [z] is not int"),
    ("{a: string}", "{ a: =name }", "E340", "/else/a", "else.a: value carries @pii, which the receiver does not accept"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "value", "code", "pointer", "message"), WRITTEN)
def test_a_written_value_is_held_against_its_type_part_by_part(
    type_: str, value: str, code: str, pointer: str, message: str
) -> None:
    (found,) = checked(f'- ask: "{type_}"\n  time: 1s\n  else: {value}').diagnostics
    assert (found.code, found.pointer, found.message) == (code, f"/do/0{pointer}", message)


FITTING = [
    ("{a: int, b: string?}", "{ a: 1 }"),
    ("{a: int}?", "null"),
    ("map<int>", "{ a: 1, b: 2 }"),
    ("map<int>", "{}"),
    ("list<float>", "[1, 2]"),
    ("list<string @pii>", "[=name, x]"),
    ("{kind: [a], x: int} | {kind: [b], y: int}", "{ kind: b, y: 1 }"),
    ("json", "{ a: [1, { b: x }] }"),
    ("{a: int}", '=any == null ? {"a": 1, "b": 2} : {"a": 3, "b": 4}'),
]


@pytest.mark.parametrize(("type_", "value"), FITTING)
def test_what_fits_is_let_pass(type_: str, value: str) -> None:
    quoted = f"'{value}'" if value.startswith("=") else value
    assert codes(checked(f'- ask: "{type_}"\n  time: 1s\n  else: {quoted}')) == []


ADVICE = [
    ("=any", "string", "convert it first: let: with type:"),
    ("1.5", "int", "int(x) cuts the fraction off"),
    ("=n", "string", "string(x) writes it as text"),
    ('"5"', "int", "numbers stand without quotes; int(x) and double(x) read text"),
    ("=n", "bool", "write a comparison: it is true or false"),
    ("=maybe", "string", "test it first (x != null ? … : …) or use orValue()"),
    ("null", "string", "a value of type string is required"),
    ("reed", "'[red, green]'", "did you mean 'red'?"),
    ("zzz", "'[red, green]'", "one of green, red"),
    ('=n > 1 ? "red" : "blue"', "'[red, green]'", "blue must not get here"),
    ("=run", "time", "take a field of it: started"),
    ("=many", "string", ""),
]


@pytest.mark.parametrize(("value", "type_", "hint"), ADVICE)
def test_a_misfit_comes_with_advice(value: str, type_: str, hint: str) -> None:
    quoted = f"'{value}'" if value.startswith("=") else value
    (found,) = checked(f"- ask: {type_}\n  time: 1s\n  else: {quoted}").diagnostics
    assert (found.code, found.hint) == ("E310", hint)


CONVERSIONS = [
    ("=any", "string", True),
    ("=s", "time", True),
    ("=s", "duration", True),
    ("=s", "bytes", True),
    ("=s", "'[a, b]'", True),
    ("=maybe", "string", True),
    ("=many", "list<string>", True),
    ("{ a: =s }", "{a: time}", True),
    ("=s", "int", False),
    ("=n", "string", False),
    ("=many", "string", False),
    ("{ a: 1 }", "list<int>", False),
]


@pytest.mark.parametrize(("value", "type_", "possible"), CONVERSIONS)
def test_a_conversion_that_can_never_succeed_is_refused(value: str, type_: str, possible: bool) -> None:  # noqa: FBT001 - a row
    assert codes(checked(f"- let: {value}\n  type: {type_}")) == ([] if possible else ["E310"])


EACH = [
    ("=m", "E312", "a map is no list: keep its entries as a list of records"),
    ("=s", "E312", "split() makes a list of a text"),
    ("=n", "E312", "write a list, or =[x] for a single item"),
    ("=l", "E312", "it may be null: write .orValue([])"),
]


@pytest.mark.parametrize(("items", "code", "hint"), EACH)
def test_each_says_how_to_get_a_list(items: str, code: str, hint: str) -> None:
    steps = f"- id: m\n  let: =any\n  type: map<int>\n- id: l\n  if: =n > 1\n  let: =many\n- each: {items}\n  max: 3\n  do: {{ let: 1 }}"
    (found,) = checked(steps).diagnostics
    assert (found.code, found.hint) == (code, hint)


LOOPS = [
    # A written text starts a state of any text; a written list, one of any such items.
    ("- loop: [a]\n  as: x\n  max: 3\n  while: =size(x) < 3\n  do: { let: '=x + [\"b\"]' }", []),
    # What an expression gives stays as narrow as it is.
    ('- loop: \'=n > 1 ? "a" : "b"\'\n  as: x\n  max: 3\n  while: =x == "a"\n  do: { let: c }', ["E310"]),
    # The body itself is the next state.
    ("- loop: { n: 0 }\n  as: x\n  max: 3\n  while: =x.n < 2\n  do: { call: pure, with: { n: =x.n } }", []),
    (
        "- loop: { m: 0 }\n  as: x\n  max: 3\n  while: =x.m < 2\n  do: { call: pure, with: { n: =x.m } }",
        ["E310"],
    ),
    # The state may be declared wider than it starts.
    ("- loop: null\n  type: int?\n  as: x\n  max: 3\n  while: =x == null\n  do: { let: 1 }", []),
    ("- loop: null\n  as: x\n  max: 3\n  while: =x == null\n  do: { let: 1 }", ["E310"]),
    ("- loop: x\n  type: int\n  as: x\n  max: 3\n  while: =x > 1\n  do: { let: 1 }", ["E310"]),
]


@pytest.mark.parametrize(("steps", "found"), LOOPS)
def test_the_state_of_a_loop_keeps_its_type(steps: str, found: list[str]) -> None:
    assert codes(checked(steps)) == found


UNRETURNED = [
    ("- let: 1", "int", []),
    ("- let: x", "int", ["E310"]),
    ("- let: =name", "string", ["E340"]),
    ("- sleep: 1s", "null", []),
]


@pytest.mark.parametrize(("steps", "out", "found"), UNRETURNED)
def test_without_return_the_last_step_is_the_output(steps: str, out: str, found: list[str]) -> None:
    text = flow_text(steps, out=out).replace("return: null\n", "")
    diagnostics = validate(flow(text)).diagnostics
    assert [one.code for one in diagnostics] == found
    assert all(one.pointer == "/do/0" and one.message.startswith("out: ") for one in diagnostics)


def test_an_input_may_not_be_called_run() -> None:
    (found,) = validate(
        flow(flow_text("- let: 1").replace("\nin: { n: int", "\nin: { run: int, n: int"))
    ).diagnostics
    assert (found.code, found.pointer) == ("E302", "/in/run")


def test_an_input_called_error_makes_handlers_name_theirs() -> None:
    text = flow_text("- call: safe\n  with: { n: 1 }\n  catch: [{ on: [agent], do: { let: 1 } }]")
    (found,) = validate(flow(text.replace("\nin: { n: int", "\nin: { error: int, n: int"))).diagnostics
    assert (found.code, found.hint) == (
        "E302",
        "it is what handlers call the error: name one of them otherwise (as:)",
    )


def test_an_id_that_nobody_sees_may_not_hide_an_input_either() -> None:
    (found,) = checked("- par: { a: { id: n, let: 1 } }").diagnostics
    assert (found.code, found.pointer) == ("E302", "/do/0/par/a/id")


def test_kinds_that_only_a_registry_knows_are_told_too() -> None:
    text = flow_text("- call: safe\n  with: { n: 1 }").replace(
        "  safe: { in: { n: int }, out: { n: int }, effect: idempotent, errors: [lost, found.twice] }\n",
        "  safe: null\n",
    )
    agent = linkable("safe", record({"n": INT}), record({"n": INT}), errors=("torn",))
    (found,) = validate(flow(text), {"safe": agent}).diagnostics
    assert (found.code, found.hint) == ("W322", "declare it under errors: and raises:, or catch it")
    caught = text.replace(
        "with: { n: 1 }", "with: { n: 1 }\n    id: it\n    catch: [{ on: [torn], do: { let: =error.data } }]"
    )
    found_types = types(validate(flow(caught), {"safe": agent}))
    assert found_types == {"it": "json"}


# Flows made in Python have no text: what the loader would refuse is refused here.


def made(*steps: ir.Step, agents: tuple[ir.AgentRef, ...] = ()) -> ir.Flow:
    return ir.Flow("made", (), NULL, ir.Do(steps, ir.Constant(None)), {}, agents=agents)


def test_mistakes_of_a_flow_without_text_have_a_pointer_and_no_line() -> None:
    step = ir.Step(ir.Call("nobody", ir.RecordValue(())), at=ir.Where("/do/0"))
    (found,) = validate(made(step)).diagnostics
    assert (found.code, found.pointer, found.line, found.column) == ("E303", "/do/0/call", 0, 0)


def test_an_agent_may_be_declared_once() -> None:
    signature = ir.Signature(record({}), BOOL, effect="pure")
    twice = tuple(ir.AgentRef("a", signature) for _ in range(2))
    (found,) = validate(made(agents=twice)).diagnostics
    assert (found.code, found.pointer) == ("E302", "/agents/a")


@pytest.mark.parametrize("least", [-0.1, 1.1])
def test_a_route_needs_candidates_and_a_similarity(least: float) -> None:
    route = ir.Route(ir.Constant("q"), (), ir.RecordValue(()), min=least)
    found = validate(made(ir.Step(route, at=ir.Where("/do/0")))).diagnostics
    assert [(one.code, one.pointer) for one in found] == [("E307", "/do/0/among"), ("E307", "/do/0/min")]


def test_what_repeats_has_to_repeat_at_least_once() -> None:
    each = ir.Each(ir.ListValue(()), ir.Step(ir.Let(ir.Constant(1))), max=0)
    (found,) = validate(made(ir.Step(each, at=ir.Where("/do/0")))).diagnostics
    assert (found.code, found.pointer, found.message) == (
        "E313",
        "/do/0/max",
        "max is 0, at least 1 is needed",
    )


def test_semantic_fields_may_be_any_text() -> None:
    signature = ir.Signature(
        record({"a": labelled(STRING, frozenset({"pii"})), "b": INT}),
        BOOL,
        effect="pure",
        cache="semantic",
        semantic=("a",),
    )
    assert not validate(made(agents=(ir.AgentRef("x", signature),))).diagnostics
    wrong = replace(signature, semantic=("a", "b"))
    (found,) = validate(made(agents=(ir.AgentRef("x", wrong),))).diagnostics
    assert (found.code, found.pointer) == ("E308", "/agents/x/semantic/1")


def test_an_alias_may_be_used_before_it_is_written_and_carry_labels() -> None:
    steps = "- ask: Outer\n  time: 1s\n  else: { inner: [{ who: =name }] }\n  id: it"
    text = flow_text(
        steps, head="types: { Outer: { inner: list<Inner> }, Inner: { who: Who @pii }, Who: string }\n"
    )
    found = validate(flow(text))
    assert not found.diagnostics
    assert types(found) == {"it": "{inner: list<{who: string @pii}>}"}


def test_aliases_that_contain_each_other_are_told_once() -> None:
    text = flow_text("- let: 1", head="types: { A: { b: B? }, B: { a: list<A> }, C: { a: A, b: B } }\n")
    (found,) = validate(flow(text)).diagnostics
    assert (found.code, found.pointer) == ("E301", "/types/B/a")
    assert found.message == "type 'A' contains itself: A → B → A"


def test_else_of_a_match_on_a_written_value_knows_nothing_of_it() -> None:
    assert codes(checked("- match: one\n  cases: { one: { let: 1 } }")) == []
    assert codes(checked("- match: one\n  cases: { two: { let: 1 } }\n  else: { let: 2 }")) == ["E316"]


@pytest.mark.parametrize(
    ("of", "found"), [("'[a, b]'", []), ("json", ["E308"]), ("int?", ["E308"]), ("string?", [])]
)
def test_semantic_fields_hold_text(of: str, found: list[str]) -> None:
    text = flow_text("- let: 1").replace(
        "text: { in: { s: string }", f"text: {{ cache: semantic, semantic: [s], in: {{ s: {of} }}"
    )
    assert [one.code for one in validate(flow(text)).diagnostics] == found
