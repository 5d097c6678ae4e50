"""What the validator infers: types, narrowing, errors, effects; and what it lets pass."""

from __future__ import annotations

import pytest
from tests.unit.tcfp.checking import EXAMPLES, body, checked, clean, codes, example, flow, flow_text, types

from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.registry import LinkableAgent
from stratarouter_runtime.tcfp.types import STRING, record, show
from stratarouter_runtime.tcfp.validation.tree import Step
from stratarouter_runtime.tcfp.validator import validate


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_flows_are_without_mistakes(name: str) -> None:
    found = validate(flow(example(name)))
    assert found.ok
    assert not found.diagnostics


INFERRED = [
    ("call: pure\nwith: { n: 1 }", "{n: int}"),
    ("call: pure\nwith: { n: 1 }\nif: =n > 1", "{n: int}?"),
    ("let: 1", "int"),
    ("let: a", "[a]"),
    ("let: =any\ntype: list<string>", "list<string>"),
    ("let: { a: 1, b: [x, y] }", "{a: int, b: list<[x, y]>}"),
    ("do: []", "null"),
    ("do: [{ let: 1 }, { let: x }]", "[x]"),
    ("do: [{ id: a, let: 1 }]\nreturn: { got: =a }", "{got: int}"),
    ("match: =n > 1\ncases: { true: { let: a }, false: { let: b } }", "[a, b]"),
    ("match: =maybe == null\ncases: { true: { let: 1 } }\nelse: { let: null }", "int?"),
    ("par: { b: { let: 1 }, a: { let: x } }", "{a: [x], b: int}"),
    ("race: { b: { let: 1 }, a: { let: x } }", "{by: [a, b], out: [x] | int}"),
    ("each: =many\nas: x\nmax: 9\ndo: { let: =x > 1 }", "list<bool>"),
    ("each: =many\nas: x\nat: i\nmax: 9\ndo: [{ let: =x + i }]", "list<int>"),
    ('loop: { n: 0, t: "" }\nas: x\nmax: 3\nwhile: =x.n < 2\ndo: { let: { n: =x.n + 1, t: =x.t + "x" } }', "{n: int, t: string}"),
    ('loop: a\ntype: "[a, b]"\nas: x\nmax: 3\nwhile: =x == "a"\ndo: []\nreturn: b', "[a, b]"),
    ("ask: { ok: bool }\ntime: 1m\nelse: { ok: false }", "{ok: bool}"),
    ("sleep: 1s", "null"),
    ("route: =s\namong: [text, open]\nwith: { s: =s }", "{by: [open, text], out: {s: string?}}"),
    ("call: safe\nwith: { n: 1 }\ncatch: [{ on: [agent], do: { let: no } }]", "[no] | {n: int}"),
    ("call: safe\nwith: { n: 1 }\ncatch: [{ on: [lost], as: e, do: { let: =e.data.where } }]", "string | {n: int}"),
    ("call: safe\nwith: { n: 1 }\ncatch: [{ on: [lost, agent.refused], as: e, do: { let: =e.kind } }]", "[agent.refused, lost] | {n: int}"),
    ("call: safe\nwith: { n: 1 }\ncatch: [{ on: [found], do: { let: =error.data } }]", "{n: int}?"),
    ('let: =name + "!"', "string @pii"),
    ("let: =[name]", "list<string @pii>"),
    ("let: =name\ntype: json", "json @pii"),
]  # fmt: skip


@pytest.mark.parametrize(("step", "type_"), INFERRED)
def test_a_step_has_the_type_of_what_it_binds(step: str, type_: str) -> None:
    lines = "\n".join(f"  {line}" for line in step.splitlines())
    assert types(clean(f"- id: it\n{lines}"))["it"] == type_


def test_a_label_of_a_list_is_one_of_its_items() -> None:
    found = clean("- id: it\n  each: =[name]\n  as: x\n  max: 2\n  do: { let: =x }")
    assert types(found) == {"it": "list<string @pii>"}


NARROWED = [
    # A guard narrows its own step.
    "- if: =maybe != null\n  call: text\n  with: { s: =maybe }",
    # The arms of a match narrow what they match on.
    "- match: =maybe == null\n  cases:\n    true: { let: none }\n    false: { call: text, with: { s: =maybe } }",
    # A step that only leaves narrows what comes after it.
    "- if: =maybe == null\n  fail: lost\n  data: { where: here }\n- call: text\n  with: { s: =maybe }",
    # A loop's test narrows its body.
    "- loop: a\n  type: string?\n  as: x\n  max: 3\n  while: =x != null\n  do: { call: text, with: { s: =x } }\n  return: null",
]  # fmt: skip


@pytest.mark.parametrize("steps", NARROWED)
def test_what_was_tested_is_known(steps: str) -> None:
    clean(steps)


def test_a_match_on_a_tag_tells_the_record_of_a_union() -> None:
    clean("""
        - id: u
          match: =n > 1
          cases:
            true: { let: { tag: left, a: 1 } }
            false: { let: { tag: right, b: x } }
        - match: =u.tag
          cases:
            left: { let: =u.a + 1 }
            right: { let: =u.b + "!" }
    """)


def test_else_knows_which_labels_are_taken() -> None:
    clean("""
        - id: p
          if: =n > 1
          call: pure
          with: { n: 1 }
        - id: kind
          let: '=p == null ? null : "some"'
        - match: =kind
          cases: { "null": { let: 0 } }
          else: { let: =kind + "!" }
    """)


def test_null_is_a_label_of_a_nullable_subject() -> None:
    assert codes(checked("- id: k\n  if: =n > 1\n  let: a\n- match: =k\n  cases: { a: { let: 1 } }")) == [
        "E317"
    ]


def test_a_name_of_a_block_is_free_again_after_it() -> None:
    clean(
        "- do: [{ id: x, let: 1 }]\n- id: x\n  let: 2\n- par: { a: { do: [{ id: y, let: 1 }] }, b: { do: [{ id: y, let: 1 }] } }"
    )


def test_an_inner_handler_may_hide_the_error_of_an_outer_one() -> None:
    clean("""
        - call: safe
          with: { n: 1 }
          catch:
            - on: [lost]
              do:
                call: safe
                with: { n: 2 }
                catch: [{ on: [agent], do: { let: =error.kind } }]
    """)


# Errors.


OF_WALLS = {"limit.cpu", "limit.memory", "limit.time", "limit.output", "limit.disk"}
"""What any agent's code may come up against."""


def escaping(steps: str) -> set[str]:
    kinds = checked(steps).escaping
    return {kind for kind in kinds - OF_WALLS if not kind.startswith(("agent.", "policy", "sandbox"))}


ESCAPING = [
    ("- let: 1", set()),
    ("- let: =n + 1", {"expression"}),
    ("- let: =any\n  type: string", {"expression", "type"}),
    ("- call: safe\n  with: { n: 1 }", {"lost", "found.twice"}),
    ("- call: safe\n  with: { n: 1 }\n  time: 1s", {"lost", "found.twice", "timeout"}),
    ("- call: pure\n  with: { n: 1 }", {"timeout"}),
    ("- call: safe\n  with: { n: 1 }\n  catch: [{ on: [found], do: { let: 1 } }]", {"lost"}),
    ("- call: safe\n  with: { n: 1 }\n  catch: [{ on: [lost], do: { fail: found.twice } }]", {"found.twice"}),
    ("- race: { a: { call: safe, with: { n: 1 } }, b: { call: pure, with: { n: 1 } } }", {"all_failed"}),
    ("- race: { a: { call: safe, with: { n: 1 } }, b: { let: 1 } }", set()),
    ("- each: [1]\n  max: 3\n  do: { let: 1 }", {"limit.items"}),
    ("- ask: bool\n  time: 1s", {"timeout"}),
    ("- ask: bool\n  time: 1s\n  else: true", set()),
    ("- route: a\n  among: [text]\n  with: { s: x }\n  min: 0.5", {"no_route"}),
    ("- route: a\n  among: [text]\n  with: { s: x }\n  min: 0.5\n  else: text", set()),
    ("- route: a\n  among: [text]\n  with: { s: x }", set()),
    ("- call: pure\n  with: { n: 1 }\n  limits: { usd: 2 }", {"timeout", "limit.usd"}),
    ("- call: pure\n  with: { n: 1 }\n  limits: { usd: 2 }\n  catch: [{ on: [limit, timeout], do: { let: 1 } }]", set()),
    ("- fail: lost\n  data: { where: x }", {"lost"}),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "kinds"), ESCAPING)
def test_what_may_escape_is_known(steps: str, kinds: set[str]) -> None:
    assert escaping(steps) == kinds


def test_limits_of_the_flow_escape_it_and_cannot_be_caught_in_it() -> None:
    step = "- call: pure\n  with: { n: 1 }\n  catch: [{ on: [limit.usd], do: { let: 1 } }]"
    found = checked(step, head="limits: { usd: 2 }\n")
    assert codes(found) == ["W321"]
    assert "limit.usd" in found.escaping


def test_what_one_handler_caught_does_not_reach_the_next() -> None:
    steps = "- call: safe\n  with: { n: 1 }\n  catch: [{ on: [found], do: { let: 1 } }, { on: [found.twice], do: { let: 2 } }]"
    (found,) = checked(steps).diagnostics
    assert (found.code, found.pointer) == ("W321", "/do/0/catch/1/on/0")


def test_errors_that_escape_unsaid_are_traced_to_the_innermost_step() -> None:
    text = flow_text("- par: { a: { do: [{ let: 1 }, { call: safe, with: { n: 1 } }] } }")
    found = validate(flow(text.replace("raises: [lost, found.twice]", "raises: [lost]")))
    assert [(one.code, one.pointer) for one in found.diagnostics] == [("W322", "/do/0/par/a/do/1")]


# Effects.


EFFECTS = [
    ("- let: 1", "pure"),
    ("- call: pure\n  with: { n: 1 }", "pure"),
    ("- par: { a: { call: safe, with: { n: 1 } }, b: { let: 1 } }", "idempotent"),
    ("- match: =n > 1\n  cases: { true: { call: act, with: { n: 1 } } }\n  else: { let: 1 }", "effect"),
    ("- let: 1\n  undo: { call: safe, with: { n: 1 } }", "idempotent"),
    (
        "- call: pure\n  with: { n: 1 }\n  catch: [{ on: [agent], do: { call: act, with: { n: 1 } } }]",
        "effect",
    ),
]


@pytest.mark.parametrize(("steps", "effect"), EFFECTS)
def test_a_flow_has_the_strongest_effect_of_its_steps(steps: str, effect: str) -> None:
    assert clean(steps).effect == effect


def test_an_effect_may_be_retried_where_the_author_says_so() -> None:
    step = "- call: act\n  with: { n: 1 }\n  retry: { max: 2"
    assert codes(checked(step + " }")) == ["E330"]
    assert codes(checked(step + ", unsafe: true }")) == []
    assert codes(checked("- call: act\n  with: { n: 1 }\n  retry: { max: 0 }")) == []


STAYING = [
    ("- call: act\n  with: { n: 1 }", []),
    ("- call: act\n  with: { n: 1 }\n- let: =n + 1", []),
    ("- call: act\n  with: { n: 1 }\n- call: pure\n  with: { n: 1 }", ["W333"]),
    ("- call: act\n  with: { n: 1 }\n  undo: { call: safe, with: { n: 1 } }\n- call: pure\n  with: { n: 1 }", []),
    ("- par: { a: { call: act, with: { n: 1 } }, b: { call: pure, with: { n: 1 } } }", ["W333"]),
    ("- par: { a: { call: act, with: { n: 1 } }, b: { let: 1 } }", []),
    ("- do: [{ do: [{ call: act, with: { n: 1 } }] }, { call: pure, with: { n: 1 } }]", ["W333"]),
    ("- do: [{ call: act, with: { n: 1 } }]\n  undo: { call: safe, with: { n: 1 } }\n- call: pure\n  with: { n: 1 }", []),
    ("- each: =many\n  max: 9\n  do: { call: act, with: { n: 1 } }", ["W333"]),
    ("- each: =many\n  max: 1\n  do: { call: act, with: { n: 1 } }", []),
    ("- loop: 0\n  as: k\n  max: 3\n  while: =k < 2\n  do: [{ call: act, with: { n: 1 } }]\n  return: 1", ["W333"]),
    ("- match: =n > 1\n  cases: { true: { call: act, with: { n: 1 } } }\n  else: { let: 1 }\n- call: pure\n  with: { n: 1 }", ["W333"]),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "found"), STAYING)
def test_an_effect_that_stays_is_pointed_out(steps: str, found: list[str]) -> None:
    assert codes(checked(steps)) == found


# Policy.


def test_a_label_reaches_only_those_who_accept_it() -> None:
    assert codes(checked("- call: open\n  with: { s: =name }")) == []
    assert codes(checked("- call: text\n  with: { s: =name }")) == ["E340"]
    assert codes(checked('- call: text\n  with: { s: ="Dear " + name }')) == ["E340"]
    assert codes(checked("- call: text\n  with: { s: =string(size(name)) }")) == ["E340"]


def test_the_router_takes_any_label_unless_limits_forbid() -> None:
    route = "- route: =name\n  among: [open]\n  with: { s: x }"
    assert codes(checked(route)) == []
    assert codes(checked(route + "\n  limits: { labels: [] }")) == ["E340"]


def test_a_question_may_show_labels_unless_limits_forbid() -> None:
    ask = "- ask: bool\n  time: 1s\n  else: false\n  show: { who: =name }"
    assert codes(checked(ask)) == []
    assert codes(checked(ask + "\n  limits: { labels: [secret] }")) == ["E340"]
    assert codes(checked(ask + "\n  limits: { labels: [pii] }")) == []


def test_inner_limits_narrow_outer_ones() -> None:
    head = "limits: { labels: [pii, secret] }\n"
    assert codes(checked("- call: open\n  with: { s: =name }", head=head)) == []
    inner = "- limits: { labels: [secret] }\n  do: [{ call: open, with: { s: =name } }]"
    assert codes(checked(inner, head=head)) == ["E340"]


def test_needs_have_to_be_allowed() -> None:
    text = flow_text("- call: pure\n  with: { n: 1 }", head="limits: { tools: [shell], hosts: [] }\n")
    needy = text.replace("time: 1s }", "time: 1s, needs: { tools: [shell, editor], hosts: [a.example] } }")
    found = validate(flow(needy)).diagnostics
    assert [(one.code, one.pointer) for one in found] == [("E341", "/do/0/call")] * 2
    assert {one.message.split("'")[1] for one in found} == {"editor", "a.example"}


def test_labels_may_not_leave_by_the_output_unless_it_says_so() -> None:
    assert codes(checked("- let: 1", result="=name", out="string")) == ["E340"]
    assert codes(checked("- let: 1", result="=name", out="string @pii")) == []


# Without, and with, a registry.


BARE = 'tcfp: "1.0"\nflow: bare\nagents: [far, near]\nin: {}\nout: json\ndo:\n'


def test_without_a_registry_it_is_said_what_was_not_checked() -> None:
    text = (
        BARE
        + "  - id: a\n    call: far\n    with: { what: ever }\n    retry: { max: 1 }\nreturn: =a.some.thing\n"
    )
    found = validate(flow(text))
    assert found.ok
    assert [(one.code, one.line, one.column) for one in found.diagnostics] == [
        ("W304", 3, 10),
        ("W304", 3, 15),
    ]
    assert "far" not in found.agents


def linkable(name: str, **rest: object) -> LinkableAgent:
    signature = ir.Signature(record({"s": STRING}), STRING, **rest)  # type: ignore[arg-type]
    return LinkableAgent(AgentName(name), signature, Digest(name))


def test_a_registry_gives_the_signatures_that_the_flow_leaves_out() -> None:
    text = BARE + "  - call: far\n    with: { s: 1 }\nreturn: null\n"
    found = validate(flow(text), {"far": linkable("far", effect="pure")})
    assert codes(found) == ["E304", "E310"]
    assert found.diagnostics[0].message == "no agent 'near' at hand, and no signature for it"


TAGGED = BARE.replace("agents: [far, near]\n", "") + (
    "  - id: r\n    route: hello\n    among: { tag: talk, out: string }\n    with: { s: hi }\nreturn: =r.by\n"
)


def test_candidates_by_tag_are_those_that_fit_in_the_order_of_names() -> None:
    registry = {
        "zoe": linkable("zoe", tags=("talk",), about="z", effect="pure"),
        "ann": linkable("ann", tags=("talk", "sing"), about="a", effect="pure"),
        "mute": linkable("mute", about="m"),
        "odd": LinkableAgent(
            AgentName("odd"), ir.Signature(record({}), record({}), tags=("talk",), about="o"), Digest("o")
        ),
    }
    found = validate(flow(TAGGED), registry)
    assert codes(found) == []
    assert types(found) == {"r": "{by: [ann, zoe], out: string}"}
    assert list(found.agents) == ["ann", "zoe"]


def test_candidates_by_tag_have_to_exist() -> None:
    assert codes(validate(flow(TAGGED), {})) == ["E304"]
    (unchecked,) = validate(flow(TAGGED)).diagnostics
    assert (unchecked.code, unchecked.pointer) == ("W304", "/do/0/among")


# One mistake is told once.


ONCE = [
    ("- id: a\n  call: nobody\n  with: { x: 1 }\n- call: pure\n  with: { n: =a.b.c }\n- if: =a\n  call: pure\n  with: { n: =a }", "E303"),
    ("- id: a\n  let: =nothing\n- each: =a\n  as: x\n  max: 3\n  do: { call: pure, with: { n: =x.y } }", "E210"),
    ("- id: a\n  let: =any\n  type: Nothing\n- match: =a.kind\n  cases: { x: { let: 1 } }", "E300"),
    ("- id: a\n  each: =n\n  as: x\n  max: 3\n  do: { let: =x.y + 1 }\n- let: =a.map(y, y)", "E312"),
    ("- id: a\n  let: 1\n- id: a\n  let: x\n- let: =a + 1\n- let: =a.b", "E302"),
    ("- match: =n\n  cases: { one: { let: 1 } }", "E315"),
    ("- route: x\n  among: [text, texd]\n  with: { s: x }\n  else: text", "E303"),
    ("- call: safe\n  with: { n: 1 }\n  catch: [{ on: [lots], do: { let: =error.data.where } }]", "E320"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "code"), ONCE)
def test_follow_on_errors_are_not_told(steps: str, code: str) -> None:
    assert codes(checked(steps)) == [code]


def test_all_mistakes_are_told_in_the_order_of_the_text() -> None:
    found = checked("""
        - call: pure
          with: { n: x }
        - let: =nothing
        - if: =n
          call: nobody
          with: {}
    """)
    assert codes(found) == ["E310", "E210", "E310", "E303"]
    assert [one.line for one in found.diagnostics] == sorted(one.line for one in found.diagnostics)


def test_slots_are_unique_within_a_depth_and_never_hide_an_outer_one() -> None:
    found = clean("""
        - id: a
          let: 1
        - id: b
          each: =many
          as: x
          max: 2
          do:
            - id: c
              let: =x + a
            - id: d
              loop: 0
              as: y
              max: 2
              while: =y < c
              do: [{ id: e, let: =y + 1 }]
              return: =e
        - id: f
          let: 2
    """)
    seen: list[tuple[int, int]] = []

    def walk(step: Step) -> None:
        if step.slot >= 0:
            seen.append((step.depth, step.slot))
        for inner in getattr(step.does, "steps", ()):
            walk(inner)
        if hasattr(step.does, "body"):
            walk(step.does.body)

    walk(found.body)
    assert len(set(seen)) == len(seen)
    inputs = 1 + len(found.flow.input)
    assert sorted(seen) == [(0, inputs), (0, inputs + 1), (0, inputs + 2), (1, 2), (1, 3), (2, 1)]
    assert found.size == inputs + 3


def test_the_tree_keeps_the_written_steps() -> None:
    found = clean("- id: a\n  let: 1\n- sleep: 1s")
    assert [step.name for step in body(found)] == ["a", "sleep"]
    assert [step.path for step in body(found)] == ["0", "1"]
    assert show(body(found)[0].type) == "int"
