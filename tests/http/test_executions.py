from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.http.stage import ASKING, BOOM, ECHO, HOLD, PRIVATE, ROUTED, Client, Stage, check_problem, running

NOBODY = "exec_" + "0" * 32
RETRIED = ECHO.replace("call: say", "call: boom\n    retry: {max: 2, wait: 1ms}").replace("[say]", "[boom]")


def path(execution: Any, *more: str) -> str:
    """Where an execution, given by its id or an answer about it, is found."""
    name = execution if isinstance(execution, str) else execution.json()["execution_id"]
    return "/".join([f"/api/v1/executions/{name}", *more])


async def state(client: Client, execution: Any) -> dict[str, Any]:
    """The execution once it has stopped or waits."""
    name = execution.json()["execution_id"]
    await client.app.runtime.wait(name, 5)
    found: dict[str, Any] = (await client.http.get(path(name))).json()
    return found


async def test_an_execution_is_shown_with_its_steps(client: Client) -> None:
    await client.deploy("echo", ECHO)
    answered = (await client.execute("echo")).json()
    found = (await client.http.get(path(answered["execution_id"]))).json()
    (step,) = found.pop("steps")
    assert step == {
        "path": "0",
        "name": "a",
        "agent": "say",
        "attempts": 1,
        "status": "completed",
        "ms": 1.5,
        "cost": {"usd": "0.0021", "tokens_in": 10, "tokens_out": 5},
        "output": "HI",
    }
    spent = {"usd": "0.0021", "tokens_in": 10, "tokens_out": 5}
    assert found.pop("cost") == spent | {"agents": {"say": spent}}
    assert answered.pop("cost") == spent
    assert found.pop("records") == 3
    assert found.pop("created") <= found.pop("updated")
    assert found | {"cache": answered["cache"]} == answered


async def test_attempts_and_what_they_cost_are_summed(client: Client) -> None:
    await client.deploy("retried", RETRIED)
    found = await state(client, await client.execute("retried"))
    (step,) = found["steps"]
    assert found["cost"]["agents"]["boom"]["usd"] == "1.5"
    assert (step["attempts"], step["status"], step["cost"]["usd"]) == (3, "failed", "1.5")
    assert step["error"] == {"kind": "agent.refused", "message": "will not", "step": "0"}


LATE = ASKING.replace("time: 1h", "time: 10ms")


@pytest.mark.parametrize(
    ("source", "status", "step"),
    [
        (HOLD.replace("call: hold", "call: hold\n    time: 10ms"), "failed", ("a", "timed_out")),
        (LATE, "failed", ("approve", "timed_out")),
        (LATE.replace("time: 10ms", "time: 10ms\n    else: false"), "completed", ("approve", "completed")),
        (ECHO.replace("do:\n", "do:\n  - sleep: 10ms\n"), "completed", ("a", "completed")),
    ],
)
async def test_what_time_ran_out_on_is_told(
    client: Client, source: str, status: str, step: tuple[str, str]
) -> None:
    await client.deploy("late", source)
    started = await client.execute("late", mode="async")
    found = await state(client, started)
    async with asyncio.timeout(10):
        while found["status"] not in {"completed", "failed"}:
            await asyncio.sleep(0.02)
            found = await state(client, started)
    assert found["status"] == status
    last = found["steps"][-1]
    assert (last["name"], last["status"]) == step
    assert ("error" in last) == (step[1] == "timed_out")


async def test_the_time_of_the_whole_flow_is_no_step(client: Client) -> None:
    await client.deploy("late", HOLD.replace("out: {", "limits: {time: 10ms}\nout: {"))
    found = await state(client, await client.execute("late"))
    assert (found["status"], found["steps"]) == ("timed_out", [])


async def test_the_choice_of_a_route_is_its_steps_agent(client: Client) -> None:
    await client.deploy("routed", ROUTED)
    found = await state(client, await client.execute("routed", "t"))
    (step,) = found["steps"]
    assert (step["name"], step["agent"], step["status"]) == ("r", "tell", "completed")
    assert [decision["by"] for decision in found["routing"]] == ["rule"]


async def test_labelled_parts_of_steps_are_redacted(client: Client) -> None:
    await client.deploy("private", PRIVATE)
    found = await state(client, await client.execute("private", "ada lovelace"))
    assert [step["output"] for step in found["steps"]] == ["[redacted: pii]", "12"]
    assert "LOVELACE" not in json.dumps(found)


async def test_an_execution_that_is_not_there_is_404(client: Client) -> None:
    for response in (
        await client.http.get(path(NOBODY)),
        await client.http.get(path("nonsense")),
        await client.http.post(path(NOBODY, "cancel")),
        await client.http.post(path(NOBODY, "replay")),
        await client.http.post(path(NOBODY, "answer"), json={"step": "a", "value": 1}),
    ):
        check_problem(response, 404, "not-found")


# Answers.


async def test_a_question_is_shown_and_answered(client: Client) -> None:
    await client.deploy("asking", ASKING)
    started = await client.execute("asking", "all good")
    found = await state(client, started)
    assert found["status"] == "waiting"
    question = found["steps"][1]["question"]
    assert (question["type"], question["from"], question["show"]) == ("bool", "boss", {"text": "ALL GOOD"})
    assert question["until"] > found["updated"]
    answered = await client.http.post(
        path(started, "answer"), json={"step": "approve", "value": True, "by": "ann"}
    )
    assert answered.status_code == 202
    assert answered.headers["location"] == path(started)
    found = await state(client, started)
    assert (found["status"], found["output"]) == ("completed", {"ok": True})
    assert (found["steps"][1]["status"], found["steps"][1]["output"]) == ("completed", True)
    assert "question" not in found["steps"][1]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"step": "approve", "value": "yes"}, 422, "invalid-input"),
        ({"step": "a", "value": True}, 409, "invalid-state"),
        ({"step": "approve"}, 422, "invalid-request"),
        ({"step": "approve", "value": True, "who": "ann"}, 422, "invalid-request"),
    ],
)
async def test_an_answer_that_is_none_changes_nothing(
    client: Client, body: dict[str, Any], status: int, code: str
) -> None:
    await client.deploy("asking", ASKING)
    started = await client.execute("asking")
    found = check_problem(await client.http.post(path(started, "answer"), json=body), status, code)
    if code == "invalid-input":
        assert found["errors"][0]["pointer"] == "/value"
    assert (await state(client, started))["status"] == "waiting"


async def test_a_second_answer_is_refused(client: Client) -> None:
    await client.deploy("asking", ASKING)
    started = await client.execute("asking")
    body = {"step": "approve", "value": True}
    await client.http.post(path(started, "answer"), json=body)
    await state(client, started)
    check_problem(await client.http.post(path(started, "answer"), json=body), 409, "invalid-state")


# Cancelling.


@pytest.mark.parametrize("body", [None, {}, {"reason": "too slow", "by": "ann"}])
async def test_an_execution_is_cancelled(client: Client, body: dict[str, str] | None) -> None:
    await client.deploy("hold", HOLD)
    started = await client.execute("hold", mode="async")
    response = await client.http.post(path(started, "cancel"), json=body)
    assert response.status_code == 202
    found = await state(client, started)
    assert found["status"] == "cancelled"
    assert all(step["status"] == "cancelled" for step in found["steps"])


async def test_what_has_finished_cannot_be_cancelled(client: Client) -> None:
    await client.deploy("echo", ECHO)
    done = await client.execute("echo")
    check_problem(await client.http.post(path(done, "cancel")), 409, "invalid-state")


async def test_a_waiting_execution_is_cancelled_with_its_question(client: Client) -> None:
    await client.deploy("asking", ASKING)
    started = await client.execute("asking")
    await client.http.post(path(started, "cancel"))
    found = await state(client, started)
    assert found["status"] == "cancelled"
    assert [(step["name"], step["status"]) for step in found["steps"]] == [
        ("a", "completed"),
        ("approve", "cancelled"),
    ]


# Proof.


@pytest.mark.parametrize("source", [ECHO, BOOM, ROUTED, PRIVATE])
async def test_an_execution_is_proved_reproducible(client: Client, source: str) -> None:
    plan = (await client.deploy("flow", source)).json()["plan"]
    done = await client.execute("flow")
    found = (await client.http.post(path(done, "replay"))).json()
    assert len(found.pop("link")) == 64
    assert found.pop("records") >= 3
    assert found == {
        "execution_id": done.json()["execution_id"],
        "plan": plan,
        "reproducible": True,
    }


async def test_a_changed_journal_is_named(quick: Client) -> None:
    await quick.deploy("echo", ECHO)
    done = await quick.execute("echo")
    records = quick.app.store._records[done.json()["execution_id"]]  # type: ignore[attr-defined]
    records[1] = type(records[1])(1, records[1].at, records[1].body.replace(b"HI", b"HA"), records[1].link)
    found = (await quick.http.post(path(done, "replay"))).json()
    assert found["reproducible"] is False
    assert "record 1" in found["divergence"]
    assert found["hint"]


# Over a restart.


async def test_what_was_accepted_goes_on_in_the_next_process(tmp_path: Path) -> None:
    store, first = tmp_path / "s.db", Stage()
    async with running(store, first) as client:
        await client.deploy("asking", ASKING)
        started = await client.execute("asking", headers={"idempotency-key": "k"})
        assert started.status_code == 202
    async with running(store) as client:
        await client.app.runtime.recover()
        assert (await state(client, started))["status"] == "waiting"
        check_problem(await client.execute("asking", headers={"idempotency-key": "k"}), 409, "in-flight")
        await client.http.post(path(started, "answer"), json={"step": "approve", "value": False})
        assert (await state(client, started))["output"] == {"ok": False}
        assert client.stage.say.calls == []
        again = await client.execute("asking", headers={"idempotency-key": "k"})
        assert (again.status_code, again.json()["output"]) == (200, {"ok": False})


async def test_many_executions_at_once_are_all_answered(client: Client) -> None:
    await client.deploy("echo", ECHO)
    responses = await asyncio.gather(*(client.execute("echo", f"q{n}") for n in range(100)))
    assert [response.json()["output"]["answer"] for response in responses] == [f"Q{n}" for n in range(100)]
