from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from stratarouter_runtime.ids import Digest, StepPath
from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.canonical_expressions import expression_form
from stratarouter_runtime.tcfp.canonical_form import (
    agent_digest,
    call_key,
    flow_digest,
    flow_form,
    signature_form,
    step_key,
    type_form,
)
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.types import (
    INT,
    NULL,
    STRING,
    UNKNOWN,
    ListType,
    MapType,
    Ref,
    Type,
    labelled,
    record,
)

FLOW = """
tcfp: "1.0"
flow: support.triage
note: what it is for
types:
  Ticket: { id: string, body: string @pii, at: Moment? }
  Moment: time
  Reply: { text: string, score: float }
errors: { refused: { why: string } }
raises: [refused]
agents:
  classify: { in: { text: string }, out: { intent: [billing, tech], p: float }, effect: pure, accepts: [pii] }
  billing: { in: { ticket: Ticket }, out: Reply, effect: pure, about: refunds and invoices, accepts: [pii] }
  tech: { in: { ticket: Ticket }, out: Reply, effect: pure, about: crashes, accepts: [pii], tags: [b, a] }
  drop: { in: { text: string }, out: null, effect: idempotent }
in: { ticket: Ticket, tags: list<string> }
out: { reply: Reply, parts: list<int>, n: int }
limits: { usd: 0.10, time: 60s, hosts: [b.org, a.org] }
do:
  - id: c
    call: classify
    with: { text: =ticket.body }
    retry: { max: 2, wait: 200ms, factor: 2.0, on: [timeout, agent] }
    undo: { call: drop, with: { text: =string(c.p) } }
  - id: r
    route: =ticket.body
    among: [billing, tech]
    with: { ticket: =ticket }
    rules: [{ when: '=c.intent == "billing" && c.p >= 0.8', pick: billing }]
    min: 0.35
    catch:
      - { on: [no_route], as: e, do: { let: { by: tech, out: { text: =e.message, score: 0.0 } } } }
  - id: parts
    each: =tags.filter(t, t.size() > 1)
    as: tag
    at: i
    max: 10
    do: { let: '=tag.size() + i' }
  - id: n
    loop: 0
    as: s
    while: =s < 3
    max: 5
    do:
      - id: next
        let: =s + 1
    return: =next
  - id: both
    par:
      left: { let: 1 }
      right: { id: x, sleep: 1m }
  - if: =n > 9
    fail: refused
    data: { why: too many }
return: { reply: =r.out, parts: =parts, n: =n }
"""

A = ["name", "in/a"]


def read(source: str) -> ir.Flow:
    loaded = load(source)
    assert loaded.flow is not None, loaded.diagnostics
    return loaded.flow


def changed(*changes: tuple[str, str]) -> str:
    source = FLOW
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


@pytest.mark.parametrize(
    "changes",
    [
        [("flow: support.triage", "flow: another")],
        [("note: what it is for", "note: something else")],
        [("  - id: r\n", "  # why\n  - id: r\n    note: likewise\n")],
        [("Ticket", "Case"), ("Moment", "Instant")],
        [("ticket: Ticket, tags", "ticket: { at: time?, body: string @pii, id: string }, tags")],
        [("id: c\n", "id: found\n"), ("=c.intent", "=found.intent"), ("&& c.p", "&& found.p"), ("(c.p", "(found.p")],
        [("as: e,", "as: problem,"), ("=e.message", "=problem.message")],
        [("filter(t, t.size", "filter(word, word.size")],
        [("as: tag", "as: word"), ("at: i", "at: k"), ("=tag.size() + i", "=word.size() + k")],
        [("as: s\n", "as: state\n"), ("=s < 3", "=state < 3"), ("=s + 1", "=state + 1")],
        [("id: next", "id: more"), ("return: =next", "return: =more")],
        [("id: x, sleep", "sleep")],
        [("time: 60s", "time: 1m")],
        [("usd: 0.10, time: 60s", "time: 60s, usd: 0.1")],
        [("[b.org, a.org]", "[a.org, b.org]")],
        [("[timeout, agent]", "[agent, timeout]")],
        [("[billing, tech], p", "[tech, billing], p")],
        [("tags: [b, a]", "tags: [a, b]")],
        [("=s < 3", "=s  <  (3)")],
        [('"billing" && c.p >= 0.8', '"billing" && (c.p >= 0.80)')],
        [("max: 10\n", "max: 10\n    limits: {}\n")],
        [("in: { text: string }, out: { intent", "stable: false, cache: run, in: { text: string }, out: { intent")],
        [("out: null, effect: idempotent", "out: null, effect: idempotent, cost: { usd: 0, tokens: 0 }")],
        [("do: { let: '=tag.size() + i' }", "do: { let: '=tag.size() + i', note: sums }")],
        [("left: { let: 1 }\n      right: { id: x, sleep: 1m }", "right: { sleep: 60s }\n      left: { let: 1 }")],
    ],
    ids=lambda changes: changes[0][1].strip()[:30],
)  # fmt: skip
def test_what_means_the_same_has_the_same_digest(changes: list[tuple[str, str]]) -> None:
    assert flow_digest(read(changed(*changes))) == flow_digest(read(FLOW))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c.p >= 0.8", "c.p >= 0.81"),
        ("about: crashes", "about: crashes and outages"),
        ("about: crashes, accepts: [pii]", "about: crashes"),
        ("min: 0.35", "min: 0.36"),
        ("text: string, score: float", "text: string, score: int"),
        ("body: string @pii", "body: string @secret"),
        ("out: { reply: Reply", "out: { answer: Reply"),
        ("return: { reply:", "return: { answer:"),
        ("[billing, tech], p", "[billing, other, tech], p"),
        ("among: [billing, tech]", "among: [tech, billing]"),
        ("max: 2, wait", "max: 3, wait"),
        ("wait: 200ms", "wait: 201ms"),
        ("factor: 2.0", "factor: 2.5"),
        ("on: [no_route]", "on: [agent]"),
        ("usd: 0.10", "usd: 0.11"),
        ("refused: { why: string }", "refused: { why: string? }"),
        ("{ let: 1 }", "{ let: 1.0 }"),
        ("{ let: 1 }", "{ let: '1' }"),
        ("{ let: 1 }", "{ do: [{ let: 1 }] }"),
        ("left:", "middle:"),
        ("=s + 1", "=1 + s"),
        ("=tag.size() + i", "=i + tag.size()"),
        ("sleep: 1m", "sleep: 2m"),
        ("return: =next", "return: =s"),
        ("=string(c.p)", "=string(ticket.id)"),
        ("effect: idempotent", "effect: effect"),
        ("why: too many", "why: too  many"),
        ("    undo: { call: drop, with: { text: =string(c.p) } }\n", ""),
        ("  - if: =n > 9\n    fail", "  - fail"),
        ("at: i\n", "at: i\n    parallel: 2\n"),
    ],
)
def test_what_means_another_thing_has_another_digest(old: str, new: str) -> None:
    assert flow_digest(read(changed((old, new)))) != flow_digest(read(FLOW))


def test_yaml_and_json_are_one_flow() -> None:
    # PyYAML reads YAML 1.1, in which `on` is a truth value.
    plain = yaml.load(FLOW.replace("on: [", '"on": ['), yaml.CSafeLoader)
    assert flow_digest(read(json.dumps(plain))) == flow_digest(read(FLOW))


def test_a_reference_is_the_position_of_what_it_names() -> None:
    form = flow_form(read(FLOW))
    steps: Any = form["do"]
    assert steps[0]["with"] == {"{}": {"text": {"=": [".", ["name", "in/ticket"], "body"]}}}
    assert steps[0]["undo"]["with"]["{}"]["text"]["="][3] == [".", ["name", "step/0"], "p"]
    assert steps[1]["catch"][0]["do"]["let"]["{}"]["out"]["{}"]["text"]["="][1] == ["name", "error/1/catch/0"]
    assert steps[2]["each"]["="][3] == [">", ["call", "size", ["name", "macro/0"]], 1]
    assert steps[2]["do"]["let"]["="][2] == ["name", "index/2"]
    assert steps[3]["while"]["="][1] == ["name", "state/3"]
    assert form["return"]["{}"]["n"] == {"=": ["name", "step/3"]}
    assert "support.triage" not in json.dumps(form)


def test_to_name_the_last_step_of_a_block_is_to_write_the_default() -> None:
    head = 'tcfp: "1.0"\nflow: f\nin: { a: int }\nout: int\ndo: [{ id: x, let: =a }]\n'
    assert flow_digest(read(head)) == flow_digest(read(head + "return: =x"))
    assert flow_digest(read(head)) != flow_digest(read(head + "return: =a"))


def test_a_macro_inside_of_a_macro_keeps_its_own_element() -> None:
    head = "tcfp: \"1.0\"\nflow: f\nin: { a: list<int> }\nout: bool\ndo: [{ let: '=%s' }]\n"
    outer, inner, renamed = (
        flow_digest(read(head % source))
        for source in (
            "a.all(x, a.exists(y, x == y))",
            "a.all(x, a.exists(y, y == x))",
            "a.all(y, a.exists(x, y == x))",
        )
    )
    assert outer == renamed
    assert outer != inner


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("[a[0], -a[1]]", ["list", ["[]", A, 0], ["-", ["[]", A, 1]]]),
        ("{y: 1, x: null}", ["{}", {"x": None, "y": 1}]),
        ("a == [] ? 1.0 : 0.5", ["?", ["==", A, ["list"]], {"float": 1}, {"float": "0.5"}]),
        ("!a.exists(b, b > 1)", ["!", ["exists", A, None, [">", ["name", "macro/0"], 1]]]),
        ("a.map(b, b > 1, b)", ["map", A, [">", ["name", "macro/0"], 1], ["name", "macro/0"]]),
        ("size(a)", ["call", "size", None, A]),
        ("nowhere.x", [".", ["name", "unknown/nowhere"], "x"]),
    ],
)
def test_an_expression_is_its_tree(source: str, form: Any) -> None:
    assert expression_form(source, {"a": "in/a"}) == form


def test_large_ints_and_bytes_have_a_form() -> None:
    head = "tcfp: \"1.0\"\nflow: f\nin: {}\nout: json\ndo: [{ let: '=%s' }]\n"
    forms = [flow_form(read(head % source))["do"][0]["let"]["="] for source in ("9007199254740993", 'b"hi"')]
    assert forms == [{"int": "9007199254740993"}, {"bytes": "aGk="}]


def test_union_aliases_are_resolved_flat() -> None:
    one = 'tcfp: "1.0"\nflow: f\ntypes: { A: "int | string" }\nin: { x: "A?" }\nout: int\ndo: [{ let: 1 }]\n'
    two = 'tcfp: "1.0"\nflow: f\nin: { x: "null | string | int" }\nout: int\ndo: [{ let: 1 }]\n'
    assert flow_digest(read(one)) == flow_digest(read(two))


SIGNATURE = ir.Signature(record({"a": INT}), STRING)


@pytest.mark.parametrize(
    ("type_", "form"),
    [
        (MapType(ListType(INT)), {"map": {"list": "int"}}),
        (UNKNOWN, "?"),
        (labelled(STRING, frozenset({"b", "a"})), {"labels": ["a", "b"], "of": "string"}),
    ],
)
def test_a_type_is_its_structure(type_: Type, form: Any) -> None:
    assert type_form(type_) == form


def test_defaults_of_a_signature_are_left_out() -> None:
    assert signature_form(SIGNATURE) == {
        "in": {"record": {"a": "int"}},
        "out": "string",
        "effect": "effect",
        "cache": "never",
    }


@pytest.mark.parametrize(
    ("effect", "stable", "cache", "form"),
    [
        ("pure", True, None, "shared"),
        ("pure", False, None, "run"),
        ("idempotent", True, None, "never"),
        ("pure", True, "semantic", "semantic"),
    ],
)
def test_the_cache_that_is_implied_is_the_one_that_is_written(
    effect: ir.Effect,
    stable: bool,  # noqa: FBT001 - a column of the table
    cache: ir.CachePolicy | None,
    form: str,
) -> None:
    signature = ir.Signature(NULL, NULL, effect=effect, stable=stable, cache=cache)
    assert signature_form(signature)["cache"] == form


def test_an_agent_is_its_name_kind_version_and_signature() -> None:
    other = ir.Signature(record({"a": INT}), STRING, cost=ir.Cost(usd=0.1), needs=ir.Needs(cpu=0.5))
    digests = {
        agent_digest("a", "python", "1", SIGNATURE),
        agent_digest("b", "python", "1", SIGNATURE),
        agent_digest("a", "http", "1", SIGNATURE),
        agent_digest("a", "python", "2", SIGNATURE),
        agent_digest("a", "python", "1", other),
        agent_digest("a", "python", "1", replace(SIGNATURE, on_crash="retry")),
    }
    assert len(digests) == 6
    said = replace(SIGNATURE, on_crash="ask")
    assert agent_digest("a", "python", "1", SIGNATURE) == agent_digest("a", "python", "1", said)


def test_a_signature_with_names_has_no_form() -> None:
    with pytest.raises(ValueError, match="Ticket has not been resolved"):
        signature_form(ir.Signature(Ref("Ticket"), STRING))


def test_keys_tell_steps_and_calls_apart() -> None:
    agent, other = Digest("a" * 64), Digest("b" * 64)
    keys = {
        step_key(StepPath("2/do/0")),
        step_key(StepPath("2/do/0[7]")),
        call_key(agent, {"x": 1}),
        call_key(other, {"x": 1}),
        call_key(agent, {"x": 2}),
        call_key(agent, {"x": 1}, "seed"),
    }
    assert len(keys) == 6
    assert call_key(agent, {"x": 1, "y": 2}) == call_key(agent, {"y": 2, "x": 1})


def test_loops_in_loops_are_formed_once_each() -> None:
    body = "{ let: 1 }"
    for depth in range(24):
        body = f"{{ loop: 0, as: s{depth}, while: =s{depth} < 1, max: 1, do: [{body}], return: 1 }}"
    flow = read(f'tcfp: "1.0"\nflow: f\nin: {{}}\nout: int\ndo: [{body}]\n')
    assert len(flow_digest(flow)) == 64
