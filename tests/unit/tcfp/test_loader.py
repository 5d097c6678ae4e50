from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.suites import flow_files

from stratarouter_runtime.tcfp import ir
from stratarouter_runtime.tcfp.ir import Constant, Expression, ListValue, RecordValue, Where
from stratarouter_runtime.tcfp.loader import Loaded, load
from stratarouter_runtime.tcfp.loading.operators import OPERATORS
from stratarouter_runtime.tcfp.loading.steps import MAX_STEPS
from stratarouter_runtime.tcfp.text import Mapping, Node, Scalar, Sequence, read_text
from stratarouter_runtime.tcfp.types import (
    BOOL,
    INT,
    NULL,
    STRING,
    EnumType,
    ListType,
    RecordType,
    Ref,
    UnionType,
)
from stratarouter_runtime.tcfp.writer import strip

EVERYTHING = Path(__file__).with_name("everything.yaml").read_text(encoding="utf-8")
FLOWS = [path.read_text(encoding="utf-8") for path in flow_files()]
NAMES = [path.name for path in flow_files()]

HEAD = 'tcfp: "1.0"\nflow: f\nout: int\n'


def flow_of(source: str) -> ir.Flow:
    loaded = load(source)
    assert loaded.diagnostics == ()
    assert loaded.flow is not None
    return loaded.flow


def step_of(source: str) -> ir.Step:
    """The one step of a flow; `source` is its text, without the dash."""
    indented = "\n    ".join(source.splitlines())
    (step,) = strip(flow_of(f"{HEAD}do:\n  - {indented}\n")).body.steps
    return step


def let(data: Any) -> ir.Step:
    return ir.Step(ir.Let(Constant(data)))


def found(loaded: Loaded) -> list[tuple[str, int, int]]:
    return [(one.code, one.line, one.column) for one in loaded.diagnostics]


def data(node: Node | None) -> Any:
    match node:
        case Scalar():
            return node.data
        case Sequence():
            return [data(item) for item in node.items]
        case Mapping():
            return {entry.key: data(entry.value) for entry in node.entries}
        case _:
            raise AssertionError(node)


@pytest.mark.parametrize("source", [EVERYTHING, *FLOWS], ids=["everything", *NAMES])
def test_yaml_and_json_give_the_same_flow(source: str) -> None:
    as_yaml = flow_of(source)
    written = json.dumps(data(read_text(source).root))
    as_json = load(written, kind="json")
    assert as_json.diagnostics == ()
    assert as_json.flow is not None
    assert strip(as_json.flow) == strip(as_yaml)
    assert as_json.flow.places.keys() == as_yaml.places.keys()


@pytest.mark.parametrize("source", [EVERYTHING, *FLOWS], ids=["everything", *NAMES])
def test_every_node_has_its_place(source: str) -> None:
    flow = flow_of(source)
    assert flow.places["/flow"] == Where("/flow", 2, 7)
    for step, number in zip(flow.body.steps, range(100), strict=False):
        assert step.at.pointer == f"/do/{number}"
        assert flow.places[step.at.pointer] == step.at
        assert source.splitlines()[step.at.line - 1][step.at.column - 3 : step.at.column - 1] == "- "


def test_the_place_of_an_expression_is_its_first_character() -> None:
    flow = flow_of(EVERYTHING)
    lines = EVERYTHING.splitlines()
    places = [place for place in _expressions(flow) if place.at.line]
    assert len(places) > 15
    for expression in places:
        text = lines[expression.at.line - 1][expression.at.column - 1 :]
        assert text.startswith(expression.source.split("\n")[0])


def _expressions(node: object) -> list[Expression]:
    match node:
        case Expression():
            return [node]
        case tuple():
            return [one for item in node for one in _expressions(item)]
        case (
            ir.Flow() | ir.Do() | ir.Step() | RecordValue() | ListValue() | ir.Call() | ir.Let() | ir.Route()
        ):
            return [one for name in node.__struct_fields__ for one in _expressions(getattr(node, name))]
        case ir.Rule() | ir.Each() | ir.Loop() | ir.Ask() | ir.Fail() | ir.Match():
            return [one for name in node.__struct_fields__ for one in _expressions(getattr(node, name))]
        case _:
            return []


def test_the_head_of_a_flow() -> None:
    flow = strip(flow_of(EVERYTHING))
    assert (flow.name, flow.about, flow.tags) == ("every.construct", "everything at once", ("test",))
    assert (flow.stable, flow.cache, flow.semantic) == (True, "shared", ("query",))
    assert flow.note.startswith("one of each")
    assert flow.input == (("query", STRING), ("docs", Ref("Docs")))
    assert flow.types["Verdict"] == EnumType(("approve", "reject"))
    assert flow.errors[1] == ("gone", NULL)
    assert flow.raises == ("unhappy", "gone")
    assert flow.limits == ir.Limits(
        usd=0.5,
        tokens=1000,
        time=5_400_000_000,
        steps=900,
        parallel=4,
        hosts=("search.internal",),
        tools=(),
        labels=("pii",),
    )


def test_the_signatures_of_agents() -> None:
    flow = strip(flow_of(EVERYTHING))
    search, write, tick, known = flow.agents
    assert search.signature == ir.Signature(
        input=RecordType((("query", STRING),)),
        output=RecordType((("docs", Ref("Docs")),)),
        effect="pure",
        stable=True,
        cache="semantic",
        semantic=("query",),
        accepts=frozenset({"pii", "secret"}),
        errors=("gone",),
        about="finds documents",
        tags=("find", "docs"),
        needs=ir.Needs(("search.internal",), ("grep",), 0.5, 512),
        cost=ir.Cost(0.01, 100),
        time=20_000_000,
    )
    assert write.signature is not None
    assert write.signature.output == UnionType((STRING, INT))
    assert tick.signature == ir.Signature(RecordType(()), NULL)
    assert known == ir.AgentRef("known", None)


def test_agents_may_be_named_in_a_list() -> None:
    flow = strip(flow_of(HEAD + "agents: [billing, tech]\ndo: []\n"))
    assert flow.agents == (ir.AgentRef("billing"), ir.AgentRef("tech"))


def test_what_is_left_out_has_its_default() -> None:
    flow = strip(flow_of(HEAD + "do: []\n"))
    assert flow == ir.Flow("f", (), INT, ir.Do(()), {})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("call: a", ir.Step(ir.Call("a", RecordValue(())))),
        ("call: a\nwith: =x", ir.Step(ir.Call("a", Expression("x")))),
        ("let: '=x'", ir.Step(ir.Let(Expression("x")))),
        ("let: ==x", let("=x")),
        ("let: '==='", let("==")),
        ("let: {by: general}", ir.Step(ir.Let(RecordValue((("by", Constant("general")),))))),
        (
            "let: {note: x, call: y}",
            ir.Step(ir.Let(RecordValue((("note", Constant("x")), ("call", Constant("y")))))),
        ),
        ("let: ''", let("")),
        ("let: yes", let("yes")),
        ("let: 1.0", let(1.0)),
        ("let:", let(None)),
        ("let: 1\ntype: bool", ir.Step(ir.Let(Constant(1), BOOL))),
        ("do: []\nreturn: null", ir.Step(ir.Do((), Constant(None)))),
        ("sleep: 2d", ir.Step(ir.Sleep(172_800_000_000))),
        ("ask: null\ntime: 1s", ir.Step(ir.Ask(NULL, 1_000_000))),
        (
            "ask: [a]\ntime: 1s\nelse: a",
            ir.Step(ir.Ask(EnumType(("a",)), 1_000_000, otherwise=Constant("a"))),
        ),
        ("sleep: 1s\ntime: 2s", ir.Step(ir.Sleep(1_000_000), time=2_000_000)),
        ("fail: gone", ir.Step(ir.Fail("gone"))),
        (
            "match: =x\ncases: {true: {let: 1}, false: {let: 2}, null: {let: 3}}",
            ir.Step(ir.Match(Expression("x"), (("true", let(1)), ("false", let(2)), ("null", let(3))))),
        ),
        (
            "match: =x\ncases: {a: {let: 1}}\nelse: [let: 2]",
            ir.Step(ir.Match(Expression("x"), (("a", let(1)),), ir.Step(ir.Do((let(2),))))),
        ),
        ("par: {b: {let: 1}, a: {let: 2}}", ir.Step(ir.Par((("b", let(1)), ("a", let(2)))))),
        ("race: {b: {let: 1}}", ir.Step(ir.Race((("b", let(1)),)))),
        ("each: =x\nmax: 3\ndo: {let: 1}", ir.Step(ir.Each(Expression("x"), let(1), 3))),
        (
            "each: =x\nas: y\nat: i\nmax: 3\nparallel: 2\ndo: [let: 1]",
            ir.Step(ir.Each(Expression("x"), ir.Step(ir.Do((let(1),))), 3, "y", "i", 2)),
        ),
        (
            "loop: 1\ntype: int\nas: s\nwhile: =s < 2\nmax: 9\ndo: {let: 1}\nreturn: =s",
            ir.Step(ir.Loop(Constant(1), Expression("s < 2"), let(1), 9, "s", Expression("s"), INT)),
        ),
        (
            "route: =q\namong: [a, b]\nwith: {x: 1}\nelse: b",
            ir.Step(ir.Route(Expression("q"), ("a", "b"), RecordValue((("x", Constant(1)),)), otherwise="b")),
        ),
        (
            "route: =q\namong: {tag: t, out: list<int>}",
            ir.Step(ir.Route(Expression("q"), ir.Among("t", ListType(INT)), RecordValue(()))),
        ),
        (
            "let: 1\nretry: {max: 2}\ncatch: [{on: [agent], do: {let: 2}}]",
            ir.Step(ir.Let(Constant(1)), retry=ir.Retry(2), catch=(ir.Catch(("agent",), let(2)),)),
        ),
        (
            "let: 1\ncatch: [{on: [agent], as: e, do: {do: [let: 2], return: 3}}]",
            ir.Step(
                ir.Let(Constant(1)),
                catch=(ir.Catch(("agent",), ir.Step(ir.Do((let(2),), Constant(3))), "e"),),
            ),
        ),
        (
            "id: x\nif: =y\nlet: 1\ntime: 1m\nundo: {call: a}\nlimits: {usd: 1}\nnote: why",
            ir.Step(
                ir.Let(Constant(1)),
                id="x",
                guard=Expression("y"),
                time=60_000_000,
                undo=ir.Step(ir.Call("a", RecordValue(()))),
                limits=ir.Limits(usd=1.0),
                note="why",
            ),
        ),
    ],
)
def test_steps(source: str, expected: ir.Step) -> None:
    assert step_of(source) == expected


def test_the_same_flow_uses_every_operator() -> None:
    written = {type(step.does).__name__.lower() for step in flow_of(EVERYTHING).body.steps}
    assert written | {"sleep"} == OPERATORS.keys()


# Source after the head, the diagnostics (code, line, column), and a part of the first hint.
STEP_MISTAKES = [
    ("cal: a", [("E110", 5, 5)], "did you mean 'call'?"),
    ("{}", [("E113", 5, 5)], "write one of call, route"),
    ("id: x", [("E113", 5, 5)], "write one of"),
    ("with: {}", [("E113", 5, 5)], "write one of"),
    ("just text", [("E112", 5, 5)], "a step is a mapping"),
    ("call: a\nlet: 1", [("E114", 6, 5)], "make two steps"),
    ("call: a\ndo: []", [("E114", 6, 5)], "make two steps"),
    ("each: =x\nloop: 1\nmax: 1\nwhile: =x\ndo: {let: 1}", [("E114", 6, 5)], "make two steps"),
    ("call: a\nwiht: {}", [("E110", 6, 5)], "did you mean 'with'?"),
    ("call: a\ncases: {}", [("E110", 6, 5)], "it belongs to match"),
    ("let: 1\nelse: 2", [("E110", 6, 5)], "it belongs to route, match, ask"),
    ("call: a\nzzz: 1\nyyy: 2", [("E110", 6, 5), ("E110", 7, 5)], "known here: call, catch"),
    ("call: 12", [("E112", 5, 11)], 'quote it: "12"'),
    ("call: [a]", [("E112", 5, 11)], ""),
    ("call: a\ntime: 60", [("E130", 6, 11)], "add the unit: 60s"),
    ("call: a\ntime: soon", [("E130", 6, 11)], "write e.g. 200ms"),
    ("call: a\ntime: 0s", [("E130", 6, 11)], "more than zero"),
    ("call: a\ntime: [1s]", [("E112", 6, 11)], "write e.g. 200ms"),
    ("call: a\nid: 2x", [("E133", 6, 9)], "letters, digits and _"),
    ("call: a\nid: in", [("E133", 6, 9)], "choose another"),
    ("call: a\nid: ''", [("E133", 6, 9)], "letters, digits and _"),
    ("call: a\nid: true", [("E112", 6, 9)], 'quote it: "true"'),
    ("call: a\nnote: 7", [("E112", 6, 11)], 'quote it: "7"'),
    ("call: a\nretry: 3", [("E112", 6, 12)], "write key: value"),
    ("call: a\nretry: {wait: 1s}", [("E111", 6, 12)], "how many times"),
    ("call: a\nretry: {max: -1}", [("E131", 6, 18)], "at least 0"),
    ("call: a\nretry: {max: 1.5}", [("E112", 6, 18)], ""),
    ("call: a\nretry: {max: true}", [("E112", 6, 18)], ""),
    ("call: a\nretry: {max: 1, factor: 0.5}", [("E131", 6, 29)], "at least 1 and at most 1000"),
    ("call: a\nretry: {max: 1, factor: .nan}", [("E131", 6, 29)], "at least 1"),
    ("call: a\nretry: {max: 1, factor: no}", [("E112", 6, 29)], ""),
    ("call: a\nretry: {max: 1, unsafe: 1}", [("E112", 6, 29)], ""),
    ("call: a\nretry: {max: 1, on: agent}", [("E112", 6, 25)], "write [a, b]"),
    ("call: a\nretry: {max: 1, tries: 1}", [("E110", 6, 21)], "known here: factor"),
    ("call: a\ncatch: {on: [x], do: {let: 1}}", [("E112", 6, 12)], "write [a, b]"),
    ("call: a\ncatch: [{do: {let: 1}}]", [("E111", 6, 13)], "kinds of errors"),
    ("call: a\ncatch: [{on: [], do: {let: 1}}]", [("E135", 6, 18)], "at least one"),
    ("call: a\ncatch: [{on: [x]}]", [("E111", 6, 13)], "handles the error"),
    ("call: a\ncatch: [{on: [x], as: 1, do: {let: 1}}]", [("E112", 6, 27)], "quote it"),
    ("call: a\nlimits: {usd: -1}", [("E131", 6, 19)], "at least 0"),
    ("call: a\nlimits: {usd: .inf}", [("E131", 6, 19)], "at least 0"),
    ("call: a\nlimits: {steps: 0}", [("E131", 6, 21)], "at least 1"),
    ("call: a\nlimits: {usb: 1}", [("E110", 6, 14)], "did you mean 'usd'?"),
    ("call: a\nundo: x", [("E112", 6, 11)], "a step is a mapping"),
    ("let: .inf", [("E131", 5, 10)], "quote it"),
    ("let: [9007199254740992]", [("E131", 5, 11)], "quote it"),
    ("let: 1\ntype: list<", [("E121", 6, 16)], "a type is e.g."),
    ("route: =q\nwith: {}", [("E111", 5, 5)], "the agents to choose from"),
    ("route: =q\namong: a", [("E112", 6, 12)], "write [a, b]"),
    ("route: =q\namong: []", [("E135", 6, 12)], "at least one"),
    ("route: =q\namong: {tag: t}", [("E111", 6, 12)], "write out: and a type"),
    ("route: =q\namong: {out: int}", [("E111", 6, 12)], ""),
    ("route: =q\namong: [a]\nmin: .nan", [("E131", 7, 10)], "write a number"),
    ("call: a\nwith: {score =x}", [("E136", 6, 12)], "write score: =x"),
    ("route: =q\namong: [a]\nrules: [{pick: a}]", [("E111", 7, 13)], ""),
    ("route: =q\namong: [a]\nrules: [{when: =x}]", [("E111", 7, 13)], "the agent that answers"),
    ("route: =q\namong: [a]\nrules: [{when: =x, pick: 1}]", [("E112", 7, 30)], "quote it"),
    ("match: =x", [("E111", 5, 5)], "write cases"),
    ("match: =x\ncases: {}", [("E135", 6, 12)], "at least one"),
    ("match: =x\ncases: [a]", [("E112", 6, 12)], "write key: value"),
    ("match: =x\ncases: {a: 1}", [("E112", 6, 16)], "a step is a mapping"),
    ("par: {}", [("E135", 5, 10)], "at least one"),
    ("race: [a]", [("E112", 5, 11)], "write key: value"),
    ("do: {let: 1}", [("E112", 5, 9)], "each item in its own line"),
    ("each: =x", [("E111", 5, 5), ("E111", 5, 5)], "write"),
    ("each: =x\nmax: 0\ndo: {let: 1}", [("E131", 6, 10)], "at least 1"),
    ("each: =x\nmax: 1\nas: 'a b'\ndo: {let: 1}", [("E133", 7, 9)], "letters"),
    ("loop: 1\nmax: 1\ndo: {let: 1}", [("E111", 5, 5)], ""),
    ("ask: int", [("E111", 5, 5)], "how long to wait"),
    ("ask: 5\ntime: 1s", [("E120", 5, 10)], "write a type"),
    ("sleep: 10", [("E130", 5, 12)], "add the unit: 10s"),
    ("fail: {kind: x}", [("E112", 5, 11)], ""),
]


@pytest.mark.parametrize(("source", "expected", "hint"), STEP_MISTAKES)
def test_mistakes_in_steps(source: str, expected: list[tuple[str, int, int]], hint: str) -> None:
    indented = "\n    ".join(source.splitlines())
    loaded = load(f"{HEAD}do:\n  - {indented}\n")
    assert found(loaded) == expected
    assert hint in loaded.diagnostics[0].hint
    assert loaded.flow is None


FLOW_MISTAKES = [
    ("flow: f\nout: int\ndo: []", [("E100", 1, 1)], 'write tcfp: "1.0"'),
    ("tcfp: 1.0\nflow: f\nout: int\ndo: []", [("E101", 1, 7)], 'write tcfp: "1.0"'),
    ('tcfp: "2.0"\nnonsense: 1', [("E101", 1, 7)], "this runtime reads 1.0"),
    ("tcfp: [1]\nnonsense: 1", [("E101", 1, 7)], "this runtime reads 1.0"),
    ('tcfp: "1.0"', [("E111", 1, 1)] * 3, "write"),
    ("- a", [("E112", 1, 1)], "write key: value"),
    ("text", [("E112", 1, 1)], "write key: value"),
    (HEAD + "do: []\ndoo: 1", [("E110", 5, 1)], "did you mean 'do'?"),
    (HEAD + "do: x", [("E112", 4, 5)], "write [a, b]"),
    (HEAD + "do:", [("E112", 4, 4)], "write [a, b]"),
    (HEAD + "do: []\nin: [a]", [("E112", 5, 5)], "write key: value"),
    (HEAD + "do: []\nin: {a b: int}", [("E133", 5, 6)], "letters"),
    (HEAD + "do: []\nin: {a: 7, b: []}", [("E120", 5, 9), ("E123", 5, 15)], "write a type"),
    (HEAD + "do: []\ntypes: {T: list<}", [("E121", 5, 17)], "a type is"),
    (HEAD + "do: []\nraises: x", [("E112", 5, 9)], "write [a, b]"),
    (HEAD + "do: []\ncache: always", [("E134", 5, 8)], "write run or shared or semantic or never"),
    (HEAD + "do: []\nagents: 7", [("E112", 5, 9)], "write name"),
    (HEAD + "do: []\nagents: [7]", [("E112", 5, 10)], "quote it"),
    (HEAD + "do: []\nagents: {a: x}", [("E112", 5, 13)], "write key: value"),
    (HEAD + "do: []\nagents: {a: {in: {}}}", [("E111", 5, 13)], "write out: and a type"),
    (HEAD + "do: []\nagents: {a: {out: int, effect: pur}}", [("E134", 5, 32)], "did you mean 'pure'?"),
    (HEAD + "do: []\nagents: {a: {out: int, stable: 1}}", [("E112", 5, 32)], ""),
    (HEAD + "do: []\nagents: {a: {out: int, needs: {cpus: 1}}}", [("E110", 5, 32)], "did you mean 'cpu'?"),
    (HEAD + "do: []\nagents: {a: {out: int, needs: {cpu: 0}}}", [("E131", 5, 37)], "at least 0.01"),
    (HEAD + "do: []\nagents: {a: {out: int, cost: {usd: x}}}", [("E112", 5, 36)], ""),
    (HEAD + "do: []\nagents: {a: {out: int, cost: 3}}", [("E112", 5, 30)], "write key"),
    (HEAD + "do: []\ndo: []", [("E109", 5, 1)], "line 4"),
    (
        HEAD + "do: [{let: x, type: [*x]}, let: [*x, 1], sleep: 1s]",
        [("E116", 4, 22), ("E116", 4, 34)],
        "write the value out",
    ),
    (
        HEAD + "do:\n- let:\n    a: *x\n  type:\n    b: *x\n    c: [*x]",
        [("E116", n, c) for n, c in ((6, 8), (8, 8), (9, 9))],
        "write the value out",
    ),
    (
        HEAD + "do:\n- call: *x\n  retry: *x\n  time: *x",
        [("E116", 5, 9), ("E116", 6, 10), ("E116", 7, 9)],
        "write",
    ),
    (HEAD + "do: [*x]", [("E116", 4, 6)], "write the value out"),
    (HEAD + "do: [", [("E102", 4, 5)], "write the value"),
    ("", [("E103", 1, 1)], "tcfp"),
]


@pytest.mark.parametrize(("source", "expected", "hint"), FLOW_MISTAKES)
def test_mistakes_in_flows(source: str, expected: list[tuple[str, int, int]], hint: str) -> None:
    loaded = load(source)
    assert found(loaded) == expected
    assert hint in loaded.diagnostics[0].hint
    assert loaded.flow is None


def test_all_mistakes_are_reported_in_the_order_of_the_text() -> None:
    source = HEAD + (
        "agents: {a: {out: lst<, effect: big}}\n"
        "do:\n"
        "  - {call: a, tiem: 1s}\n"
        "  - {call: a, let: 2}\n"
        "  - {sleep: 5}\n"
        "  - {each: =x, max: 0, do: {fal: x}}\n"
        "  - {call: &a a}\n"
    )
    assert found(load(source)) == [
        ("E121", 4, 22),
        ("E134", 4, 33),
        ("E110", 6, 15),
        ("E114", 7, 15),
        ("E130", 8, 13),
        ("E131", 9, 21),
        ("E110", 9, 29),
        ("E115", 10, 12),
    ]


def test_pointers_lead_to_the_mistake() -> None:
    loaded = load(HEAD + "do:\n  - {par: {a/b: {call: x, tme: 1s}}}\n")
    assert [one.pointer for one in loaded.diagnostics] == ["/do/0/par/a~1b/tme"]


@pytest.mark.parametrize(
    "body", ["  - call: a\n" * (MAX_STEPS + 5), "  - do: [{call: a}]\n" * (MAX_STEPS // 2 + 1)]
)
def test_the_number_of_written_steps_is_bounded(body: str) -> None:
    loaded = load(f"{HEAD}do:\n{body}")
    assert [one.code for one in loaded.diagnostics] == ["E132"]


def test_a_thousand_steps_may_be_written() -> None:
    assert len(flow_of(f"{HEAD}do:\n" + "  - call: a\n" * MAX_STEPS).body.steps) == MAX_STEPS


def test_long_texts_are_cut_in_messages() -> None:
    loaded = load(HEAD + f"do: [{{call: a, id: {'x y' * 500}}}]")
    assert found(loaded)[0][0] == "E133"
    assert len(str(loaded.diagnostics[0])) < 250


def check(loaded: Loaded) -> None:
    assert (loaded.flow is None) == bool(loaded.diagnostics)
    for one in loaded.diagnostics:
        assert one.code.startswith("E1")
        assert one.line >= 1
        assert one.column >= 1
        assert one.message


SOURCES = [EVERYTHING, *FLOWS]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SOURCES),
    st.lists(
        st.tuples(
            st.integers(0, 5000),
            st.integers(0, 6),
            st.sampled_from(
                [*"[]{}:,-?&*!|>'\"%@`#=<\\ \n\t", "", ": ", "- ", "null", "9e999", "\0", "é", "  "]
            ),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_changed_text_never_raises(source: str, changes: list[tuple[int, int, str]]) -> None:
    for position, removed, added in changes:
        at = position % len(source)
        source = source[:at] + added + source[at + removed :]
    check(load(source))


TREES = [data(read_text(source).root) for source in SOURCES]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 2**60, float("inf"), "", "=", "==", "x y", "list<", [], {}, [[]], {"a": 1}]
)


def _paths(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [path, *(inner for key in keys for inner in _paths(tree[key], (*path, key)))]


PATHS = [_paths(tree) for tree in TREES]


def _changed(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copied = dict(tree) if isinstance(tree, dict) else list(tree)
    copied[path[0]] = _changed(tree[path[0]], path[1:], value)
    return copied


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.integers(0, len(SOURCES) - 1), ODD)
def test_a_changed_node_never_raises(draw: st.DataObject, number: int, value: Any) -> None:
    path = draw.draw(st.sampled_from(PATHS[number]))
    source = json.dumps(_changed(TREES[number], path, value)).replace("Infinity", "1e999")
    loaded = load(source, kind="json")
    check(loaded)


def test_every_node_of_everything_may_be_replaced_by_anything() -> None:
    values: list[Any] = [None, 7, "x", [], {}]
    for path in PATHS[0]:
        for value in values:
            check(load(json.dumps(_changed(TREES[0], path, value)), kind="json"))


def crashing(effect: str, on_crash: str) -> Loaded:
    agents = f"agents:\n  a: {{out: int, effect: {effect}, on_crash: {on_crash}}}\n"
    return load(f"{HEAD}{agents}do: [{{let: 1}}]\n")


@pytest.mark.parametrize("policy", ["fail", "retry", "ask"])
def test_an_agent_with_side_effects_says_what_a_crash_means(policy: str) -> None:
    (agent,) = strip(crashing("effect", policy).flow or pytest.fail("it is no flow")).agents
    assert agent.signature is not None
    assert agent.signature.on_crash == policy


@pytest.mark.parametrize(
    ("effect", "policy", "wrong"),
    [
        ("pure", "ask", ("E334", 5, 41)),
        ("idempotent", "retry", ("E334", 5, 47)),
        ("effect", "again", ("E134", 5, 43)),
    ],
)
def test_no_other_agent_says_it_and_nothing_else_can_be_said(
    effect: str, policy: str, wrong: tuple[str, int, int]
) -> None:
    assert found(crashing(effect, policy)) == [wrong]
