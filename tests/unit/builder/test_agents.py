from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest

from stratarouter_runtime import usage
from stratarouter_runtime.builder import PII, AgentError, Cost, Needs, agent, definition_of
from stratarouter_runtime.builder.agents import AgentDefinition
from stratarouter_runtime.builder.usage import Meter
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.relations import optional
from stratarouter_runtime.tcfp.types import FLOAT, INT, JSON, STRING, TIME, labelled, record


@dataclass
class Order:
    id: str
    at: datetime


@dataclass
class Receipt:
    order: Order
    total: float


@agent(
    name="shop.charge",
    version="3",
    effect="idempotent",
    accepts=[PII, "secret"],
    errors=["card_declined"],
    about="charges",
    tags=["money"],
    needs=Needs(hosts=("api.bank",)),
    cost=Cost(usd=0.5),
    time="20s",
    cache="never",
    stable=True,
    semantic=["note"],
)
async def charge(order: Order, note: Annotated[str | None, PII], *, factor: float = 2.0) -> Receipt:
    if note == "no":
        raise AgentError("card_declined", "the bank said no", {"why": note})
    usage.report(usd=0.1, tokens_in=3)
    usage.report(usd=0.2, tokens_out=4)
    return Receipt(order, factor * 10)


@agent
def plain(x: int, anything=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - that is the test
    return {"x": x, "anything": anything}


def defined(function: Any) -> AgentDefinition:
    found = definition_of(function)
    assert found is not None
    return found


ORDER = record({"id": STRING, "at": TIME})
INPUT = {"order": {"id": "1", "at": "2026-03-01T12:00:00.000000Z"}, "note": None, "factor": 3.0}


def test_the_signature_is_that_of_the_function() -> None:
    assert defined(charge).name == "shop.charge"
    assert defined(charge).version == "3"
    assert defined(charge).is_async
    assert defined(charge).defaults == {"factor": 2.0}
    assert defined(charge).signature == Signature(
        input=record(
            {"order": ORDER, "note": labelled(optional(STRING), frozenset({"pii"})), "factor": FLOAT}
        ),
        output=record({"order": ORDER, "total": FLOAT}),
        effect="idempotent",
        stable=True,
        cache="never",
        semantic=("note",),
        accepts=frozenset({"pii", "secret"}),
        errors=("card_declined",),
        about="charges",
        tags=("money",),
        needs=Needs(hosts=("api.bank",)),
        cost=Cost(usd=0.5),
        time=20_000_000,
    )


def test_what_is_not_annotated_is_json_and_not_said_is_the_safe_assumption() -> None:
    assert defined(plain).signature == Signature(input=record({"x": INT, "anything": JSON}), output=JSON)
    assert not defined(plain).is_async


def test_the_function_stays_what_it_was() -> None:
    order = Order("1", datetime(2026, 3, 1, tzinfo=UTC))
    assert asyncio.run(charge(order, None)) == Receipt(order, 20.0)
    assert plain(1) == {"x": 1, "anything": None}
    assert definition_of(len) is None


async def test_a_call_converts_both_ways() -> None:
    with Meter() as meter:
        output = await defined(charge).call_with(INPUT)
    assert output == {"order": INPUT["order"], "total": 30.0}
    assert (round(meter.usd, 9), meter.tokens_in, meter.tokens_out) == (0.3, 3, 4)
    assert defined(plain).call_with({"x": 1, "anything": [b""]}) == {"x": 1, "anything": [b""]}


async def test_an_agent_fails_with_a_declared_kind() -> None:
    with pytest.raises(AgentError, match="the bank said no") as failed:
        await defined(charge).call_with({**INPUT, "note": "no"})
    assert failed.value.kind == "card_declined"
    assert failed.value.data == {"why": "no"}
    assert str(AgentError("card_declined")) == "card_declined"


def test_a_report_without_a_call_around_it_does_nothing() -> None:
    usage.report(usd=1.0)
    with Meter() as meter:
        pass
    assert meter.usd == 0


@pytest.mark.parametrize("span", [timedelta(seconds=20), "20s", "PT20S"])
def test_a_time_may_be_written_in_several_ways(span: Any) -> None:
    assert defined(agent(time=span)(lambda: None)).signature.time == 20_000_000


def test_what_is_no_agent_is_refused() -> None:
    with pytest.raises(InvalidFlow, match=r"takes \*things, which is no field"):
        agent(lambda *things: None)
    with pytest.raises(InvalidFlow, match="no span of time"):
        agent(time="soon")(lambda: None)


def test_what_a_crash_means_is_said_of_agents_with_side_effects_alone() -> None:
    @agent(on_crash="retry")
    def ring() -> None: ...

    found = definition_of(ring)
    assert found is not None
    assert found.signature.on_crash == "retry"
    with pytest.raises(InvalidFlow, match="on_crash is for agents with side effects"):
        agent(effect="pure", on_crash="retry")


@pytest.mark.parametrize(
    ("key", "word", "hint"),
    [
        ("effect", "puer", "did you mean 'pure'?"),
        ("cache", "always", "one of run, shared, semantic, never"),
        ("on_crash", "aks", "did you mean 'ask'?"),
        ("isolation", "sandbox", "one of inline, process"),
    ],
)
def test_a_word_that_nobody_knows_is_refused(key: str, word: str, hint: str) -> None:
    with pytest.raises(InvalidFlow, match=f"{key} of an agent cannot be '{word}'") as caught:
        agent(**{key: word})  # type: ignore[call-overload]
    assert caught.value.hint == hint
