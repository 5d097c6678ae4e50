from __future__ import annotations

import asyncio
import re

import pytest
from tests.http.stage import ASKING, BOOM, ECHO, HOLD, ROUTED, Client, check_problem

from stratarouter_runtime.ids import LOCAL, ExecutionId, derived_execution_id


async def test_the_example_of_the_documentation_is_answered(client: Client) -> None:
    deployed = await client.deploy("my-workflow", ECHO)
    response = await client.post(
        b'{"workflow_id": "my-workflow", "input": {"query": "Hello"},'
        b' "options": {"enable_cache": true, "timeout_seconds": 60}}'
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert re.fullmatch("exec_[0-9a-f]{32}", answer.pop("execution_id"))
    assert re.fullmatch("[0-9a-f]{32}", answer.pop("trace_id"))
    latency = answer.pop("latency")
    assert set(latency) == {"total_ms", "queue_ms", "agents_ms", "engine_ms"}
    assert latency["agents_ms"] == 1.5
    assert latency["queue_ms"] == 0
    assert answer == {
        "workflow_id": "my-workflow",
        "plan": deployed.json()["plan"],
        "status": "completed",
        "output": {"answer": "HELLO"},
        "cache": {"outcome": "bypass", "why": "run"},
        "coalesced": False,
        "cost": {"usd": "0.0021", "tokens_in": 10, "tokens_out": 5},
        "routing": [],
    }


async def test_an_execution_that_failed_is_an_answer_with_its_error(client: Client) -> None:
    await client.deploy("boom", BOOM)
    response = await client.execute("boom")
    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "failed"
    assert "output" not in answer
    assert answer["error"] == {
        "kind": "agent.refused",
        "message": "will not",
        "step": "0",
        "data": None,
    }
    assert answer["cost"]["usd"] == "0.5"


@pytest.mark.parametrize(
    ("query", "agent", "by", "rule"), [("t", "tell", "rule", 0), ("saying", "say", "meaning", None)]
)
async def test_the_decisions_of_routes_are_told(
    client: Client, query: str, agent: str, by: str, rule: int | None
) -> None:
    await client.deploy("routed", ROUTED)
    answer = (await client.execute("routed", query)).json()
    assert answer["output"] == {"answer": query.upper(), "by": agent}
    (decision,) = answer["routing"]
    assert (decision["agent"], decision["by"], decision["rule"]) == (agent, by, rule)
    assert len(decision["scores"]) == (0 if by == "rule" else 2)


@pytest.mark.parametrize(
    ("options", "headers", "applied"),
    [
        ({"mode": "async"}, {}, None),
        ({}, {"prefer": "respond-async"}, "respond-async"),
        ({}, {"prefer": "handling=lenient, wait=0"}, "wait=0"),
    ],
)
async def test_who_does_not_wait_gets_202_and_where_to_ask(
    client: Client, options: dict[str, str], headers: dict[str, str], applied: str | None
) -> None:
    await client.deploy("hold", HOLD)
    response = await client.execute("hold", headers=headers, **options)
    assert response.status_code == 202
    assert response.headers.get("preference-applied") == applied
    answer = response.json()
    assert answer["status"] == "running"
    assert "output" not in answer
    where = response.headers["location"]
    assert where == f"/api/v1/executions/{answer['execution_id']}"
    client.stage.gate.set()
    await client.app.runtime.wait(answer["execution_id"], 5)
    later = (await client.http.get(where)).json()
    assert (later["status"], later["output"]) == ("completed", {"answer": "held"})


async def test_a_wait_that_runs_out_leaves_the_execution_at_work(quick: Client) -> None:
    await quick.deploy("hold", HOLD)
    response = await quick.execute("hold", headers={"prefer": "wait=1"})
    assert response.status_code == 202
    assert response.json()["status"] == "running"


async def test_a_preference_never_waits_longer_than_the_body_says(quick: Client) -> None:
    await quick.deploy("hold", HOLD)
    async with asyncio.timeout(5):
        response = await quick.execute("hold", headers={"prefer": "wait=30"}, mode="async")
    assert response.status_code == 202
    assert "preference-applied" not in response.headers


async def test_an_execution_beyond_its_time_is_answered_as_timed_out(client: Client) -> None:
    await client.deploy("hold", HOLD)
    response = await client.execute("hold", timeout_seconds=0.05)
    assert response.status_code == 200
    assert response.json()["status"] == "timed_out"


async def test_an_execution_that_asks_is_answered_at_once(client: Client) -> None:
    await client.deploy("asking", ASKING)
    response = await client.execute("asking")
    assert response.status_code == 202
    assert response.json()["status"] == "waiting"


@pytest.mark.parametrize("seed", ["abc", 7])
async def test_the_seed_is_the_callers_where_one_is_given(quick: Client, seed: str | int) -> None:
    source = ECHO.replace("=query}", "=run.seed}")
    await quick.deploy("seeded", source)
    assert (await quick.execute("seeded", seed=seed)).json()["output"] == {"answer": str(seed).upper()}


async def test_a_plan_can_be_pinned(client: Client) -> None:
    first = (await client.deploy("echo", ECHO)).json()["plan"]
    second = (await client.deploy("echo", ECHO.replace("=query}", '=query + "!"}'))).json()["plan"]
    assert first != second
    for plan, answer in ((first, "HI"), (second, "HI!")):
        found = (await client.execute("echo", plan=plan)).json()
        assert (found["plan"], found["output"]) == (plan, {"answer": answer})
    assert (await client.execute("echo")).json()["plan"] == second


async def test_a_plan_that_is_not_kept_is_refused_with_the_one_that_runs(quick: Client) -> None:
    plan = (await quick.deploy("echo", ECHO)).json()["plan"]
    found = check_problem(await quick.execute("echo", plan="0" * 64), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "/options/plan"
    assert plan in found["hint"]


async def test_a_workflow_that_is_not_deployed_is_not_found(quick: Client) -> None:
    found = check_problem(await quick.execute("nope"), 404, "not-found")
    assert "PUT /api/v1/workflows/nope" in found["hint"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"workflow_id": "echo"}', "/input"),
        ('{"workflow_id": "echo", "input": {"query": 1}}', "/input/query"),
        ('{"workflow_id": "echo", "input": {"query": null}}', "/input/query"),
        ('{"workflow_id": "echo", "input": []}', "/input"),
    ],
)
async def test_an_input_that_does_not_fit_is_pointed_at(quick: Client, body: str, pointer: str) -> None:
    await quick.deploy("echo", ECHO)
    found = check_problem(await quick.post(body.encode()), 422, "invalid-input")
    assert found["errors"][0]["pointer"].startswith(pointer)
    assert quick.stage.say.calls == []


# Idempotency.


async def test_the_same_request_with_the_same_key_is_one_execution(client: Client) -> None:
    await client.deploy("echo", ECHO)
    answers = [(await client.execute("echo", headers={"idempotency-key": "k"})).json() for _ in range(3)]
    assert {answer["execution_id"] for answer in answers} == {derived_execution_id(LOCAL, "k")}
    assert {answer["output"]["answer"] for answer in answers} == {"HI"}
    assert len(client.stage.say.calls) == 1


async def test_a_key_keeps_its_plan_when_the_workflow_is_deployed_anew(client: Client) -> None:
    await client.deploy("echo", ECHO)
    first = (await client.execute("echo", headers={"idempotency-key": "k"})).json()
    await client.deploy("echo", ECHO.replace("=query}", '=query + "!"}'))
    again = await client.execute("echo", headers={"idempotency-key": "k"})
    assert again.status_code == 200
    assert again.json()["output"] == first["output"]


@pytest.mark.parametrize("meanwhile", ["retired", "takes something else"])
async def test_a_key_stands_for_what_it_began_whatever_is_deployed_now(
    client: Client, meanwhile: str
) -> None:
    await client.deploy("echo", ECHO)
    first = (await client.execute("echo", headers={"idempotency-key": "k"})).json()
    if meanwhile == "takes something else":
        await client.deploy(
            "echo", ECHO.replace("{query: string}", "{n: int}").replace("=query", "=string(n)")
        )
    else:
        await client.http.delete("/api/v1/workflows/echo")
    again = await client.execute("echo", headers={"idempotency-key": "k"})
    assert (again.status_code, again.json()["execution_id"]) == (200, first["execution_id"])
    other = await client.execute("echo", "other", headers={"idempotency-key": "k"})
    check_problem(other, 422, "idempotency-key-reused")
    fresh = await client.execute("echo", headers={"idempotency-key": "other"})
    assert fresh.status_code in {404, 422}


async def test_a_key_is_not_looked_up_before_it_is_used(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.deploy("echo", ECHO)
    looked: list[str] = []
    find = client.app.store.find

    async def counted(execution: ExecutionId) -> object:
        looked.append(execution)
        return await find(execution)

    monkeypatch.setattr(client.app.store, "find", counted)
    answer = await client.execute("echo", headers={"idempotency-key": "k"})
    assert (answer.status_code, looked) == (200, [])


@pytest.mark.parametrize(("workflow", "query"), [("echo", "other"), ("twin", "hi"), ("boom", "hi")])
async def test_a_key_with_another_body_is_refused(client: Client, workflow: str, query: str) -> None:
    for name, source in (("echo", ECHO), ("twin", ECHO), ("boom", BOOM)):
        await client.deploy(name, source)
    await client.execute("echo", headers={"idempotency-key": "k"})
    response = await client.execute(workflow, query, headers={"idempotency-key": "k"})
    found = check_problem(response, 422, "idempotency-key-reused")
    assert derived_execution_id(LOCAL, "k") in found["detail"]


async def test_a_key_whose_execution_is_at_work_is_a_conflict(client: Client) -> None:
    await client.deploy("hold", HOLD)
    await client.execute("hold", headers={"idempotency-key": "k"}, mode="async")
    response = await client.execute("hold", headers={"idempotency-key": "k"})
    check_problem(response, 409, "in-flight")
    assert response.headers["location"] == f"/api/v1/executions/{derived_execution_id(LOCAL, 'k')}"
    assert response.headers["retry-after"] == "2"
    other = await client.execute("hold", "other", headers={"idempotency-key": "k"})
    check_problem(other, 422, "idempotency-key-reused")


async def test_equal_requests_at_the_same_moment_run_once(client: Client) -> None:
    await client.deploy("echo", ECHO)
    responses = await asyncio.gather(
        *(client.execute("echo", headers={"idempotency-key": "k"}) for _ in range(20))
    )
    assert {response.status_code for response in responses} <= {200, 409}
    assert any(response.status_code == 200 for response in responses)
    assert len(client.stage.say.calls) == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"])
async def test_a_key_that_is_none_is_refused(quick: Client, key: str) -> None:
    await quick.deploy("echo", ECHO)
    response = await quick.execute("echo", headers={"idempotency-key": key})
    check_problem(response, 400, "malformed-request")


async def test_tags_are_kept_with_the_execution(client: Client) -> None:
    await client.deploy("echo", ECHO)
    begun = (await client.execute("echo", tags=["nightly", "import"])).json()
    path = f"/api/v1/executions/{begun['execution_id']}"
    assert (await client.http.get(path)).json()["tags"] == ["nightly", "import"]
    forked = (await client.http.post(f"{path}/fork")).json()["execution_id"]
    assert (await client.http.get(f"/api/v1/executions/{forked}")).json()["tags"] == ["nightly", "import"]
    plain = (await client.execute("echo")).json()["execution_id"]
    assert "tags" not in (await client.http.get(f"/api/v1/executions/{plain}")).json()
    for wrong in (["a"] * 21, [""], ["x" * 65]):
        check_problem(await client.execute("echo", tags=wrong), 422, "invalid-request")
