"""Linking: an agent fits where it demands no more and promises no less."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.tcfp.checking import flow, flow_text, registry_of

from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.tcfp.compiler import compile_document, compile_flow
from stratarouter_runtime.tcfp.ir import Cost, Needs, Signature
from stratarouter_runtime.tcfp.registry import LinkableAgent, misfits
from stratarouter_runtime.tcfp.types import FLOAT, INT, STRING, enum, labelled, record

PII = frozenset({"pii"})
REQUIRED = Signature(
    input=record({"n": INT, "who": labelled(STRING, PII)}),
    output=record({"x": FLOAT}),
    effect="idempotent",
    errors=("lost",),
    cost=Cost(0.1, 100),
)

FITTING: list[dict[str, Any]] = [
    {},
    {"effect": "pure"},
    {"cost": Cost(0.05, 100)},
    {"errors": ()},
    {"input": record({"n": FLOAT, "who": labelled(STRING, PII)})},
    {"input": record({"n": INT})},
    {"input": record({"n": INT, "who": STRING}), "accepts": PII},
    {"output": record({"x": INT, "more": STRING})},
    {"accepts": PII, "about": "other", "tags": ("a",)},
]

MISFITS: list[tuple[dict[str, Any], str]] = [
    ({"effect": "effect"}, "effect: effect, at most idempotent is declared"),
    ({"cost": Cost(0.2, 100)}, "cost.usd: 0.2, at most 0.1 is declared"),
    ({"cost": Cost(0.1, 101)}, "cost.tokens: 101, at most 100 is declared"),
    ({"errors": ("lost", "torn")}, "errors: may raise 'torn'"),
    ({"input": record({"n": INT, "who": STRING})}, "in.who: value carries @pii, which the receiver does not accept"),
    ({"input": record({"n": STRING})}, "in.n: int is not string"),
    ({"input": record({"n": INT, "k": INT})}, "in.k: missing, int is required"),
    ({"output": record({"x": STRING})}, "out.x: string is not float"),
    ({"output": record({"x": labelled(FLOAT, PII)})}, "out.x: value carries @pii, which the receiver does not accept"),
]  # fmt: skip


@pytest.mark.parametrize("change", FITTING, ids=str)
def test_an_agent_that_demands_no_more_and_promises_no_less_fits(change: dict[str, Any]) -> None:
    assert misfits(REQUIRED, replace(REQUIRED, **change)) == []


@pytest.mark.parametrize(("change", "reason"), MISFITS)
def test_an_agent_that_does_not_fit_is_told_why(change: dict[str, Any], reason: str) -> None:
    assert misfits(REQUIRED, replace(REQUIRED, **change)) == [reason]


def test_labels_that_the_flow_counts_on_have_to_be_accepted() -> None:
    wanted = replace(REQUIRED, accepts=PII)
    assert misfits(wanted, REQUIRED) == ["accepts: does not take @pii"]


TEXT = flow_text("- call: pure\n  with: { n: 1 }\n- call: safe\n  with: { n: 1 }")


def test_every_agent_that_does_not_fit_is_named() -> None:
    of = flow(TEXT)
    registry = registry_of(of)
    safe = registry["safe"]
    worse = {
        "safe": replace(
            safe, signature=replace(safe.signature, effect="effect", output=record({"n": STRING}))
        )
    }
    with pytest.raises(LinkError) as refused:
        compile_flow(of, worse)
    missing, misfit = refused.value.message.splitlines()
    assert missing == "agent 'pure' is not at hand"
    assert (
        misfit
        == "agent 'safe' does not fit: out.n: string is not int; effect: effect, at most idempotent is declared"
    )
    assert refused.value.hint == "add it to the project's agents"


def test_where_all_are_at_hand_the_advice_is_to_change_one() -> None:
    of = flow(TEXT)
    registry = registry_of(of)
    pure = registry["pure"]
    dear = replace(pure, signature=replace(pure.signature, cost=Cost(9.0)))
    with pytest.raises(LinkError, match=r"cost\.usd: 9, at most 1 is declared") as refused:
        compile_flow(of, {**registry, "pure": dear})
    assert refused.value.hint == "change the agent, or the signature under agents:"


def test_a_missing_agent_with_a_near_name_is_guessed() -> None:
    of = flow(TEXT)
    registry = registry_of(of)
    with pytest.raises(LinkError) as refused:
        compile_flow(of, {"safe": registry["safe"], "puree": registry["pure"]})
    assert refused.value.hint == "did you mean 'puree'?"


def test_the_flows_signature_is_what_the_plan_promises() -> None:
    of = flow(TEXT)
    registry = registry_of(of)
    pure = registry["pure"]
    wider = replace(
        pure.signature, output=record({"n": INT, "more": STRING}), about="sums", needs=Needs(cpu=2.0)
    )
    plan = compile_flow(of, {**registry, "pure": replace(pure, signature=wider)})
    linked = plan.agents[0]
    assert linked.output.project({"n": 1, "more": "x"}) == {"n": 1}
    assert linked.signature.output == pure.signature.output
    assert (linked.signature.about, linked.signature.needs.cpu) == ("sums", 2.0)
    assert linked.digest == pure.digest


def test_about_is_the_flows_own_where_it_has_one() -> None:
    of = flow(flow_text("- route: x\n  among: [text, open]\n  with: { s: x }"))
    registry = registry_of(of)
    text = registry["text"]
    plan = compile_flow(
        of, {**registry, "text": replace(text, signature=replace(text.signature, about="else"))}
    )
    assert {agent.name: agent.signature.about for agent in plan.agents} == {
        "open": "anything",
        "text": "words",
    }


BARE = """tcfp: "1.0"
flow: bare
agents: [far]
out: json
do:
  - call: far
    with: { n: 1 }
  - id: r
    route: hello
    among: { tag: talk, out: string }
    with: { n: 2 }
return: =r.by
"""


def agent(name: str, **rest: Any) -> LinkableAgent:
    signature = Signature(record({"n": INT}), STRING, effect="pure", about=name, **rest)
    return LinkableAgent(AgentName(name), signature, Digest(name.ljust(64, "0")))


def test_candidates_by_tag_are_frozen_into_the_plan() -> None:
    registry = {name: agent(name, tags=("talk",)) for name in ("zoe", "ann")} | {"far": agent("far")}
    plan = compile_flow(flow(BARE), registry, "m")
    assert [one.name for one in plan.agents] == ["ann", "far", "zoe"]
    grown = compile_flow(flow(BARE), {**registry, "bob": agent("bob", tags=("talk",))}, "m")
    assert grown.digest != plan.digest
    assert compile_document(plan.document).digest == plan.digest
    assert compile_document(grown.document).digest == grown.digest


def test_what_only_the_registry_knows_travels_in_the_document() -> None:
    rich = agent("far", tags=("a",), cost=Cost(0.5, 7), time=5_000_000, needs=Needs(hosts=("a.example",)))
    talker = agent("ann", tags=("talk",), stable=True, cache="shared")
    plan = compile_flow(flow(BARE), {"far": rich, "ann": talker}, "m")
    again = compile_document(plan.document)
    assert [replace(one.signature, at=rich.signature.at) for one in again.agents] == [
        talker.signature,
        rich.signature,
    ]
    assert again.bound == plan.bound


def test_enums_may_be_narrower_in_what_an_agent_returns() -> None:
    wanted = replace(REQUIRED, output=enum(["a", "b"]))
    assert misfits(wanted, replace(REQUIRED, output=enum(["a"]))) == []
    assert misfits(wanted, replace(REQUIRED, output=enum(["a", "c"]))) == ["out: [a, c] is not [a, b]"]
