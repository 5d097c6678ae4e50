from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from tests.typing import example_flows

import stratarouter_runtime
from stratarouter_runtime import builder
from stratarouter_runtime.builder import (
    Cost,
    FlowDefinition,
    Limits,
    Retry,
    agent,
    ask,
    call,
    catch,
    do,
    each,
    fail,
    flow,
    fn,
    let,
    loop,
    make,
    match,
    par,
    race,
    route,
    sleep,
    tagged,
    when,
)
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp.canonical_form import flow_digest, flow_form
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.validator import validate

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.mark.parametrize(
    ("folder", "built"),
    [
        ("support_triage", example_flows.triage),
        ("rag_judge", example_flows.rag),
        ("map_reduce", example_flows.summarise),
        ("approval", example_flows.approve),
        ("saga", example_flows.book_trip),
    ],
)
def test_an_example_in_python_is_its_yaml(folder: str, built: FlowDefinition[Any, Any]) -> None:
    written = load((EXAMPLES / folder / "flow.yaml").read_text()).flow
    assert written is not None
    assert flow_form(built.ir) == flow_form(written)
    assert built.digest == flow_digest(written)
    assert built.name == written.name
    assert validate(built.ir).diagnostics == ()
    read = load(built.document).flow
    assert read is not None
    assert flow_digest(read) == built.digest


class Out(BaseModel):
    n: int
    kind: Literal["a", "b"]


@dataclass
class Reply:
    text: str
    note: str | None = None


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


@dataclass
class Pair:
    left: int
    right: str


@agent(effect="pure", cost=Cost(usd=0.1))
async def answer(question: str, tone: str = "kind") -> Reply:
    return Reply(question + tone)


@agent(effect="idempotent", errors=["gone"])
def undo_it(text: str) -> None: ...


@agent(name="answer")
def another_answer(question: str) -> Reply:
    return Reply(question)


HEAD = """
tcfp: "1.0"
flow: f
agents:
  answer: { in: { question: string, tone: string }, out: { text: string, note: string? }, effect: pure, cost: { usd: 0.1 } }
"""


def same(built: FlowDefinition[Any, Any], written: str) -> None:
    loaded = load(written)
    assert loaded.flow is not None, loaded.diagnostics
    assert flow_form(built.ir) == flow_form(loaded.flow)


def test_a_parameter_with_a_default_may_be_left_out_of_a_call() -> None:
    @flow("f")
    def built(q: str) -> Reply:
        return call(answer, question=q)

    same(
        built,
        HEAD
        + "in: { q: string }\nout: { text: string, note: string? }\n"
        + "do: [{ call: answer, with: { question: =q, tone: kind } }]",
    )


def test_every_operator_and_modifier_has_its_place() -> None:
    @flow("f", errors={"gone": None, "late": Reply}, raises=["late"], about="all", tags=["x"], cache="never")
    def built(q: str, ns: list[int], b: bool) -> Reply:  # noqa: FBT001 - an input
        raced = race(
            {"slow": lambda: call(answer, question=q), "fast": lambda: call("answer", question=q, tone="x")},
            time="5s",
        )
        found = route(
            q,
            among=tagged("helper", Reply),
            with_=raced.out,
            rules=[when(b, answer)],
            retry=Retry(1, wait="1s", on=["timeout"], unsafe=True),
        )
        total = each(ns, lambda n, at: n + at, max=9, note="sums")
        state = loop(Pair(0, "x"), while_=lambda s: s.left < 3, do=lambda s: Pair(s.left + 1, s.right), max=4)
        chosen = match(
            b,
            true=lambda: do(lambda: let(1, type=float)),
            otherwise=lambda: 2.5,
            limits=Limits(usd=1, parallel=1, labels=["pii"], tools=["t"]),
        )
        sleep("1m", if_=fn.size(total) > 2)
        note = ask(str, for_="1h", otherwise=None, undo=lambda x: call(undo_it, text=x))
        fail(
            "late", data=make(Reply, text=q), catch=[catch("late", lambda e: e.data.text), catch(["gone"], 0)]
        )
        both = par(left=lambda: state.left, right=lambda: chosen)
        return Reply(text=found.out.text + state.right + note, note=fn.string(both.left))

    same(
        built,
        HEAD
        + """
  undo_it: { in: { text: string }, out: null, effect: idempotent, errors: [gone] }
errors: { gone: null, late: { text: string, note: string? } }
raises: [late]
about: all
tags: [x]
cache: never
in: { q: string, ns: list<int>, b: bool }
out: { text: string, note: string? }
do:
  - id: raced
    race:
      fast: { call: answer, with: { question: =q, tone: x } }
      slow: { call: answer, with: { question: =q, tone: kind } }
    time: 5s
  - id: found
    route: =q
    among: { tag: helper, out: { text: string, note: string? } }
    with: =raced.out
    rules: [{ when: =b, pick: answer }]
    retry: { max: 1, wait: 1s, on: [timeout], unsafe: true }
  - id: total
    each: =ns
    as: n
    at: i
    max: 9
    do: { let: =n + i }
  - id: state
    loop: { left: 0, right: x }
    as: s
    while: =s.left < 3
    max: 4
    do: { let: { left: =s.left + 1, right: =s.right } }
  - id: chosen
    match: =b
    cases: { "true": { do: [{ let: 1, type: float }] } }
    else: { let: 2.5 }
    limits: { usd: 1.0, parallel: 1, labels: [pii], tools: [t] }
  - sleep: 60s
    if: =size(total) > 2
  - id: note
    ask: string
    time: 1h
    else: null
    undo: { call: undo_it, with: { text: =note } }
  - fail: late
    data: { text: =q }
    catch: [{ on: [late], do: { let: =error.data.text } }, { on: [gone], do: { let: 0 } }]
  - id: both
    par: { left: { let: =state.left }, right: { let: =chosen } }
return: { text: =found.out.text + state.right + note, note: =string(both.left) }
""",
    )


def test_a_flow_inside_of_a_flow_is_recorded_or_called() -> None:
    @flow("inner")
    def inner(x: int) -> int:
        return let(x + 1)

    @flow("outer")
    def outer(x: int) -> int:
        return inner(x) + call(inner, x=x)

    assert [type(step.does).__name__ for step in outer.ir.body.steps] == ["Let", "Call"]
    assert [ref.name for ref in outer.ir.agents] == ["inner"]
    assert outer.ir.agents[0].signature is None


def test_labels_of_a_match_are_written_as_python_has_them() -> None:
    @flow("f")
    def built(level: Level | None, b: bool) -> int:  # noqa: FBT001 - an input
        one = match(level, {Level.LOW: 1, "high": 2, None: 3})
        return one + match(b, {True: 1, False: 2})

    labels = [[label for label, _ in step.does.cases] for step in built.ir.body.steps]  # type: ignore[union-attr]
    assert labels == [["low", "high", "null"], ["true", "false"]]
    assert validate(built.ir).diagnostics == ()


def test_pydantic_models_are_made_of_proxies_without_being_validated() -> None:
    @flow("f")
    def built(x: int) -> Out:
        return make(Out, n=x + 1, kind="a")

    same(
        built,
        'tcfp: "1.0"\nflow: f\nin: { x: int }\nout: { n: int, kind: [a, b] }\ndo: []\n'
        "return: { n: =x + 1, kind: a }",
    )


def test_names_are_bound_once_whatever_the_author_called_them() -> None:
    @flow("f")
    def built(let_: int, xs: list[int]) -> Any:
        a = let(1, id="x")
        b = fn.map(xs, lambda x: fn.map(xs, lambda y: x + y + a))
        c = let(2)
        d = let(3)
        return [b, c, d]

    sources = [step.id for step in built.ir.body.steps]
    assert sources == ["x", "let", "let_2"]
    assert "xs.map(x_2, xs.map(y, x_2 + y + x))" in repr(built.ir.body.result)


def test_a_diagnostic_of_a_built_flow_names_the_line() -> None:
    @flow("f")
    def built(x: int) -> str:
        return let(x + "a")  # type: ignore[operator,return-value]  # the flow's own check finds it too

    (found,) = validate(built.ir).diagnostics
    assert found.code.startswith("E2")
    assert Path(__file__).read_text().splitlines()[found.line - 1].strip().startswith('return let(x + "a")')


def _twice(x: int) -> None:
    let(x, id="a")
    let(x, id="a")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (_twice, "the name 'a' is bound twice"),
        (lambda x: call(answer, {"question": "q"}, tone="x"), "both with_ and tone are given"),
        (lambda x: call(len, x=x), "is no agent"),
        (lambda x: [call(answer, question="q"), call(another_answer, question="q")], "two agents are called"),
        (lambda x: let(x, tme="1s"), "no modifier is called tme"),  # type: ignore[call-arg]
        (lambda x: sleep("soon"), "no span of time"),
        (lambda x: let({1: x}), "is no string"),
        (lambda x: let(float("nan")), "no number that a flow can hold"),
        (lambda x: let(object()), "no value of a flow"),
        (lambda x: each(x, lambda: 1, max=1), "takes 0 parameters"),  # type: ignore[arg-type]
        (lambda x: each(x, lambda a, b, c: 1, max=1), "takes 3 parameters"),  # type: ignore[arg-type]
        (lambda x: 1 if x else 2, "known only when the flow runs"),
        (lambda x: make(Reply, "positional"), "given by name"),
    ],
)
def test_what_cannot_be_recorded_is_refused(steps: Any, message: str) -> None:
    with pytest.raises(InvalidFlow, match=message):
        flow("f")(steps)


def test_a_pydantic_model_built_of_stand_ins_says_what_to_write_instead() -> None:
    class Model(BaseModel):
        n: int

    def build(x: int) -> Any:
        return Model(n=x)

    with pytest.raises(InvalidFlow, match="'Model' checks its fields at once") as caught:
        flow("f")(build)
    assert "make(Model, …)" in (caught.value.hint or "")


def test_other_errors_of_the_function_are_its_own() -> None:
    def build(x: int) -> Any:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        flow("f")(build)


def test_a_step_outside_of_a_flow_is_refused() -> None:
    with pytest.raises(InvalidFlow, match="outside of a flow"):
        let(1)


def test_an_input_may_not_be_called_run() -> None:
    with pytest.raises(InvalidFlow, match="no input may be called 'run'"):

        @flow("f")
        def built(run: int) -> int:
            return run


def test_the_package_offers_the_names_of_the_builder() -> None:
    for name in stratarouter_runtime.__all__:
        assert getattr(stratarouter_runtime, name) is getattr(builder, name)
        assert name in dir(stratarouter_runtime)
    assert set(builder.__all__) - set(stratarouter_runtime.__all__) == {"AgentDefinition", "definition_of"}
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = stratarouter_runtime.nothing
