"""Limits over HTTP: at N, at N and one more, at once, and across a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.http.stage import ECHO, EXECUTE, HOLD, Client, Stage, running
from tests.postgres import server

from stratarouter_runtime import wiring
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.limits.credentials import SCOPES
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.tenancy.quotas import Tier

ANN = Tenant("ann")
STORES: dict[str, Callable[[Path], Path | str]] = {
    "memory": lambda _: ":memory:",
    "sqlite": lambda folder: folder / "s.db",
}
OUTER = """tcfp: "1.0"
flow: outer
agents: [echo]
in: {query: string}
out: {answer: string}
do:
  - id: a
    call: echo
    with: {query: =query}
return: {answer: =a.answer}
"""


@asynccontextmanager
async def tier(
    folder: Path, store: Path | str = ":memory:", stage: Stage | None = None, **limits: Any
) -> AsyncIterator[Client]:
    """A client of tenant Ann, on a tier of these limits."""
    settings = Settings(
        encoder="lexical", pepper=folder / "pepper", tier="tight", tiers=(Tier("tight", **limits),)
    )
    async with running(store, stage, settings=settings, asking=True) as client:
        _, shown = await client.app.tenancy.keys.create(ANN, SCOPES, by="test")
        client.http.headers["authorization"] = f"Bearer {shown}"
        yield client


def violated(response: Any) -> str:
    """The policy that a refusal names."""
    assert response.status_code == 429, response.text
    problem = response.json()
    assert (problem["code"], problem["type"]) == ("quota-exceeded", "/problems/quota-exceeded")
    assert int(response.headers["retry-after"]) >= 1
    (policy,) = problem["violated-policies"]
    return str(policy)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
async def test_never_more_at_once_than_may_be_also_after_a_restart(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "PATIENCE", 0.05)
    stage = Stage()
    store = await server().database() if kind == "postgres" else STORES[kind](tmp_path)
    async with tier(tmp_path, store, stage, concurrent=3) as client:
        await client.deploy("hold", HOLD)
        came = await asyncio.gather(
            *[client.execute("hold", queue_seconds=0, headers={"prefer": "wait=0"}) for _ in range(10)]
        )
        assert sorted(each.status_code for each in came) == [202] * 3 + [429] * 7
        assert {violated(each) for each in came if each.status_code == 429} == {"concurrent-executions"}
        stage.gate = asyncio.Event()  # another one is opened at the end: these calls never answer
    if kind != "memory":
        async with tier(tmp_path, store, stage := Stage(), concurrent=3) as client:
            assert violated(await client.execute("hold", queue_seconds=0)) == "concurrent-executions"
            await client.app.runtime.recover()
            stage.gate.set()
            assert (await client.execute("hold", queue_seconds=20)).status_code == 200


async def test_who_waits_for_a_place_gets_it_when_one_is_free(tmp_path: Path) -> None:
    async with tier(tmp_path, concurrent=1) as client:
        await client.deploy("hold", HOLD)
        first = await client.execute("hold", headers={"prefer": "wait=0"})
        assert first.status_code == 202
        waiting = [asyncio.create_task(client.execute("hold", queue_seconds=60)) for _ in range(5)]
        late = await client.execute("hold", queue_seconds=0.05)
        assert violated(late) == "concurrent-executions"
        client.stage.gate.set()
        came = [await each for each in waiting]
        assert {each.status_code for each in came} == {200}
        for answered in (each.json() for each in came):
            told = (await client.http.get(f"/api/v1/executions/{answered['execution_id']}")).json()
            for took in (answered["latency"], told["latency"]):
                assert 50 <= took["queue_ms"] <= took["total_ms"]
        assert (await client.execute("hold")).json()["latency"]["queue_ms"] == 0
        used = (await client.http.get("/api/v1/usage/stats")).json()["limits"][0]
        assert used == {"name": "concurrent-executions", "used": 0, "limit": 1, "left": 1}


async def test_a_day_holds_so_many_and_the_same_key_is_the_same_execution(tmp_path: Path) -> None:
    async with tier(tmp_path, tmp_path / "s.db", daily=3) as client:
        await client.deploy("echo", ECHO)
        for number in range(3):
            key = {"idempotency-key": f"k{number}"}
            assert (await client.execute("echo", headers=key)).status_code == 200
            assert (await client.execute("echo", headers=key)).status_code == 200
        assert violated(await client.execute("echo", "other")) == "daily-executions"
        used = {
            each["name"]: each for each in (await client.http.get("/api/v1/usage/stats")).json()["limits"]
        }
        assert (used["daily-executions"]["used"], used["daily-executions"]["left"]) == (3, 0)
        assert used["daily-executions"]["resets"].endswith("T00:00:00.000000Z")
    async with tier(tmp_path, tmp_path / "s.db", daily=3) as client:
        assert violated(await client.execute("echo", "other")) == "daily-executions"


async def test_a_called_flow_is_part_of_the_one_that_calls_it(tmp_path: Path) -> None:
    async with tier(tmp_path, concurrent=1, daily=1) as client:
        await client.deploy("echo", ECHO)
        await client.deploy("outer", OUTER)
        assert (await client.execute("outer", queue_seconds=0)).json()["output"] == {"answer": "HI"}
        assert violated(await client.execute("outer", "again")) == "daily-executions"


async def test_a_tenant_has_so_many_workflows(tmp_path: Path) -> None:
    async with tier(tmp_path, workflows=3) as client:
        came = await asyncio.gather(*[client.deploy(f"w{number}", ECHO) for number in range(6)])
        assert sorted(each.status_code for each in came) == [201] * 3 + [409] * 3
        assert {each.json()["code"] for each in came if each.status_code == 409} == {"workflow-quota"}
        there = (await client.http.get("/api/v1/workflows")).json()["workflows"]
        assert len(there) == 3
        assert (await client.deploy(there[0]["workflow_id"], ECHO)).status_code == 200


async def test_steps_are_counted_before_anything_runs(tmp_path: Path) -> None:
    second = ECHO.replace("return:", "  - id: b\n    call: say\n    with: {text: =a}\nreturn:")
    async with tier(tmp_path, steps=1) as client:
        await client.deploy("one", ECHO)
        await client.deploy("two", second)
        assert (await client.execute("one")).status_code == 200
        refused = await client.execute("two")
        assert (refused.status_code, refused.json()["code"]) == (422, "exceeds-tier")
        assert len(client.stage.say.calls) == 1


async def test_time_is_a_durable_deadline(tmp_path: Path) -> None:
    async with tier(tmp_path, seconds=1) as client:
        await client.deploy("hold", HOLD)
        ended = (await client.execute("hold", timeout_seconds=60)).json()
        assert ended["status"] == "timed_out"
        path = f"/api/v1/executions/{ended['execution_id']}/fork"
        again = (await client.http.post(path, json={})).json()["execution_id"]
        assert (await client.app.runtime.wait(again)).status == "timed_out"


async def test_requests_are_counted_and_told(tmp_path: Path) -> None:
    async with tier(tmp_path, requests=5) as client:
        came = await asyncio.gather(*[client.http.get("/api/v1/workflows") for _ in range(12)])
        assert sorted(each.status_code for each in came) == [200] * 5 + [429] * 7
        for each in came:
            assert each.headers["ratelimit-policy"] == '"requests";q=5;w=60'
            assert each.headers["ratelimit"].startswith('"requests";r=')
        refused = [each for each in came if each.status_code == 429]
        assert {violated(each) for each in refused} == {"requests"}
        assert {each.headers["ratelimit"].split(";")[1] for each in refused} == {"r=0"}
        for path in ("/api/v1/health", "/livez", "/metrics"):
            assert (await client.http.get(path)).status_code == 200
        body = b'{"workflow_id": "echo"}'
        assert violated(await client.http.post(EXECUTE, content=body)) == "requests"


async def test_usage_tells_what_executions_came_to(tmp_path: Path) -> None:
    async with tier(tmp_path, concurrent=5) as client:
        await client.deploy("echo", ECHO)
        await client.execute("echo")
        found = (await client.http.get("/api/v1/usage/stats")).json()
        assert (found["tenant"], found["tier"]) == ("ann", "tight")
        assert found["ever"] == found["today"]
        assert found["ever"] == {
            "executions": 1,
            "completed": 1,
            "failed": 0,
            "cost": {"usd": "0.0021", "tokens_in": 10, "tokens_out": 5},
            "agents_ms": 1.5,
        }
        one = await client.http.get("/api/v1/usage/workflows/echo")
        assert one.json() == {
            "workflow_id": "echo",
            "today": found["today"],
            "ever": found["ever"],
            "saved": found["saved"],
        }
        missing = await client.http.get("/api/v1/usage/workflows/other")
        assert missing.status_code == 404


THRICE = ECHO.replace(
    "return: {answer: =a}",
    "".join(f"  - id: {n}\n    call: say\n    with: {{text: =query}}\n" for n in "bc")
    + "return: {answer: =c}",
)


@pytest.mark.parametrize("budget", [{"usd": 0.011}, {"tokens": 110}])
async def test_a_budget_stops_before_it_is_passed_and_a_fork_goes_on_with_more(
    quick: Client, budget: dict[str, float]
) -> None:
    await quick.deploy("thrice", THRICE)
    stopped = (await quick.execute("thrice", budget=budget)).json()
    (limit,) = budget
    assert (stopped["status"], stopped["error"]["kind"]) == ("failed", f"limit.{limit}")
    assert stopped["cost"] == {"usd": "0.0021", "tokens_in": 10, "tokens_out": 5}
    assert len(quick.stage.say.calls) == 1
    path = f"/api/v1/executions/{stopped['execution_id']}/fork"
    more = await quick.http.post(path, json={"budget": {"usd": 1.0, "tokens": 1_000}})
    ended = await quick.app.runtime.wait(more.json()["execution_id"])
    assert ended.status == "completed"
    assert len(quick.stage.say.calls) == 3
    assert (await quick.execute("thrice", budget={limit: 1_000})).json()["status"] == "completed"


async def test_a_budget_holds_for_called_flows_too(quick: Client) -> None:
    await quick.deploy("echo", ECHO)
    await quick.deploy("outer", OUTER)
    stopped = (await quick.execute("outer", budget={"usd": 0.005})).json()
    assert stopped["error"]["kind"] == "limit.usd"
    assert quick.stage.say.calls == []
    assert [row.flow for row in await quick.app.store.search()] == ["outer"]
    assert (await quick.execute("outer", budget={"usd": 0.01})).json()["status"] == "completed"


async def test_a_budget_outlasts_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "PATIENCE", 0.05)
    late = THRICE.replace("agents: [say]", "agents: [say, hold]").replace("call: say", "call: hold", 1)
    stage = Stage()
    async with running(tmp_path / "s.db", stage) as client:
        await client.deploy("late", late)
        begun = await client.execute("late", headers={"prefer": "wait=0"}, budget={"usd": 0.011})
        stage.gate = asyncio.Event()
    async with running(tmp_path / "s.db", stage := Stage()) as client:
        stage.gate.set()
        await client.app.runtime.recover()
        ended = await client.app.runtime.wait(begun.json()["execution_id"])
        assert ended.failure is not None
        assert (ended.failure.kind, len(stage.say.calls)) == ("limit.usd", 1)
