"""The Python client against the application, in one process."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from tests.http.stage import ASKING, BASE, BOOM, ECHO, HOLD, Client

from stratarouter_runtime.api.app import create_app
from stratarouter_runtime.client import AsyncClient, ExecutionFailed, Refused


@pytest.fixture
def api(client: Client) -> AsyncClient:
    """The client that users have."""
    return AsyncClient(BASE, transport=httpx2.ASGITransport(app=create_app(client.service)))


async def test_a_flow_is_deployed_and_executed(api: AsyncClient) -> None:
    deployed = await api.deploy("echo", ECHO)
    assert (await api.workflow("echo")).plan == deployed.plan
    done = await api.execute("echo", {"query": "hi"})
    assert done.result() == {"answer": "HI"}
    assert done.cost.usd == "0.0021"
    assert (await api.replay(done.execution_id)).reproducible
    assert (await api.health()).status == "ok"


async def test_a_query_takes_an_answer_that_is_known(api: AsyncClient, client: Client) -> None:
    await api.deploy("echo", ECHO.replace("in: {query", "cache: shared\nin: {query"))
    first = await api.query("echo", {"query": "hi"})
    again = await api.query("echo", {"query": "hi"})
    assert first.result() == again.result() == {"answer": "HI"}
    assert (first.cache.outcome, again.cache.outcome) == ("miss", "hit")
    assert len(client.stage.say.calls) == 1
    await api.execute("echo", {"query": "hi"})
    assert len(client.stage.say.calls) == 2


async def test_the_same_key_is_the_same_execution(api: AsyncClient) -> None:
    await api.deploy("echo", ECHO)
    once = await api.execute("echo", {"query": "hi"}, key="k")
    again = await api.execute("echo", {"query": "hi"}, key="k")
    other = await api.execute("echo", {"query": "hi"})
    assert once.execution_id == again.execution_id != other.execution_id
    with pytest.raises(Refused) as refused:
        await api.execute("echo", {"query": "other"}, key="k")
    assert refused.value.code == "idempotency-key-reused"


async def test_facts_are_followed_while_they_come(api: AsyncClient, client: Client) -> None:
    await api.deploy("hold", HOLD)
    begun = await api.start("hold", {"query": "hi"})
    assert begun.status == "running"
    waiting = asyncio.ensure_future(api.wait(begun.execution_id))
    client.stage.gate.set()
    assert (await waiting).result() == {"answer": "held"}
    kinds = [fact.kind async for fact in api.events(begun.execution_id)]
    assert kinds == ["started", "returned", "finished"]
    assert [fact.seq async for fact in api.events(begun.execution_id, after=0)] == [1, 2]


async def test_a_question_is_answered(api: AsyncClient) -> None:
    await api.deploy("asking", ASKING)
    asking = await api.execute("asking", {"query": "hi"})
    assert asking.status == "waiting"
    await api.answer(asking.execution_id, "approve", True, by="ada")
    assert (await api.wait(asking.execution_id)).result() == {"ok": True}
    with pytest.raises(Refused, match="409 invalid-state"):
        await api.answer(asking.execution_id, "approve", True)


async def test_an_execution_is_stopped_and_gone_on_with(api: AsyncClient) -> None:
    await api.deploy("asking", ASKING)
    asking = await api.execute("asking", {"query": "hi"})
    assert (await api.pause(asking.execution_id)).status == "paused"
    assert (await api.resume(asking.execution_id)).status in {"running", "waiting"}
    await api.cancel(asking.execution_id, reason="enough")
    assert (await api.wait(asking.execution_id)).status == "cancelled"


async def test_a_fork_differs_where_it_was_told_to(api: AsyncClient) -> None:
    await api.deploy("echo", ECHO)
    done = await api.execute("echo", {"query": "hi"})
    other = await api.fork(done.execution_id, given={"query": "ho"})
    assert (await api.wait(other.execution_id)).result() == {"answer": "HO"}
    told = await api.difference(done.execution_id, other.execution_id)
    assert [each.step for each in told.steps] == ["input", "0", ""]


async def test_a_failure_has_no_result(api: AsyncClient) -> None:
    await api.deploy("boom", BOOM)
    failed = await api.execute("boom", {"query": "hi"})
    with pytest.raises(ExecutionFailed, match=r"failed: agent\.refused: will not"):
        failed.result()


async def test_what_is_refused_says_why(api: AsyncClient) -> None:
    with pytest.raises(Refused) as refused:
        await api.execution("exec_none")
    assert (refused.value.status, refused.value.code) == (404, "not-found")
    await api.deploy("echo", ECHO)
    with pytest.raises(Refused) as refused:
        await api.execute("echo", {"qery": "hi"})
    assert refused.value.problem.errors[0].pointer == "/input/query"


async def test_an_end_is_waited_for_no_longer_than_was_said(api: AsyncClient, client: Client) -> None:
    await api.deploy("hold", HOLD)
    begun = await api.start("hold", {"query": "hi"})
    path = f"/api/v1/executions/{begun.execution_id}"
    early = await client.http.get(path, headers={"prefer": "wait=0"})
    assert (early.json()["status"], early.headers["preference-applied"]) == ("running", "wait=0")
    too_long = await client.http.get(path, headers={"prefer": "wait=61"})
    assert "preference-applied" not in too_long.headers
