"""Reuse and batches over HTTP: what is told, forgotten, submitted and refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.http.stage import ECHO, HOLD, Client, check_problem, running

from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.limits.credentials import SCOPES
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.tenancy.quotas import Tier

KEPT = ECHO.replace("flow: echo", "flow: echo\ncache: semantic\nsemantic: [query]")


async def execute(client: Client, query: str, **options: Any) -> dict[str, Any]:
    """The answer of `echo`."""
    body = {"workflow_id": "echo", "input": {"query": query}, "options": options}
    answer = await client.http.post("/api/v1/workflows/execute", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def ended(client: Client, batch: str) -> dict[str, Any]:
    """The batch once nothing more happens."""
    for _ in range(500):
        told: dict[str, Any] = (await client.http.get(f"/api/v1/batch/{batch}")).json()
        if told["ended"]:
            return told
        await asyncio.sleep(0.01)
    raise AssertionError("the batch never ended")


async def test_a_hit_tells_where_it_comes_from(client: Client) -> None:
    """And costs nothing."""
    await client.deploy("echo", KEPT)
    first = await execute(client, "how are you")
    assert first["cache"]["outcome"] == "miss"
    for query, kind in (("how are you", "exact"), ("How are you?", "normalised")):
        answer = await execute(client, query)
        assert answer["cache"] == {
            "outcome": "hit",
            "kind": kind,
            "key": answer["cache"]["key"],
            "similarity": 1.0,
            "source": first["execution_id"],
        }
        assert (answer["output"], answer["execution_id"]) == (first["output"], first["execution_id"])
        assert answer["cost"]["usd"] == "0"


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ({"enable_cache": False}, "bypass"),
        ({"cache": {"read": False}}, "bypass"),
        ({"cache": {"scope": "ann"}}, "miss"),
        ({"cache": {"tags": ["v2"]}}, "miss"),
        ({"cache": {}}, "hit"),
    ],
)
async def test_a_request_can_ask_for_less(client: Client, options: dict[str, Any], outcome: str) -> None:
    """Than the flow allows."""
    await client.deploy("echo", KEPT)
    await execute(client, "how are you")
    assert (await execute(client, "how are you", **options))["cache"]["outcome"] == outcome


async def test_what_is_kept_is_counted_and_forgotten(client: Client) -> None:
    """Dry first; then it is made anew."""
    await client.deploy("echo", KEPT)
    await execute(client, "how are you")
    await execute(client, "how are you")
    (space,) = (await client.http.get("/api/v1/cache/stats")).json()["spaces"]
    assert (space["space"], space["entries"], space["hits"]["exact"], space["misses"]) == (
        "flow:echo",
        1,
        1,
        1,
    )
    place = "/api/v1/cache/echo/invalidate"
    dry = (await client.http.delete(place, params={"dry_run": "true"})).json()
    assert dry == {"workflow_id": "echo", "entries": 1, "dry_run": True}
    assert (await client.http.delete(place, params={"tag": "none"})).json()["entries"] == 0
    assert (await client.http.delete(place)).json()["entries"] == 1
    assert (await execute(client, "how are you"))["cache"]["outcome"] == "miss"


async def test_a_tenant_says_on_what_terms_its_answers_are_reused(client: Client) -> None:
    """And takes it back; what does not fit is refused."""
    await client.deploy("echo", KEPT)
    place = "/api/v1/cache/echo/policy"
    assert (await client.http.get(place)).status_code == 404
    assert (await client.http.put(place, json={"threshold": 2})).status_code == 422
    written = await client.http.put(place, json={"enabled": False})
    assert (written.status_code, written.json()) == (200, {"enabled": False})
    assert (await client.http.get(place)).json() == {"enabled": False}
    assert (await execute(client, "how are you"))["cache"] == {"outcome": "bypass", "why": "policy"}
    await client.http.put(place, json={"scope": "user", "tags": ["v1"]})
    assert (await execute(client, "how are you"))["cache"]["why"] == "personal"
    own = {"cache": {"scope": "ann"}}
    assert (await execute(client, "how are you", **own))["cache"]["outcome"] == "miss"
    assert (await execute(client, "how are you", **own))["cache"]["outcome"] == "hit"
    dry = await client.http.delete("/api/v1/cache/echo/invalidate", params={"tag": "v1", "dry_run": "true"})
    assert dry.json()["entries"] == 1
    assert (await client.http.delete(place)).status_code == 204
    assert (await client.http.delete(place)).status_code == 404
    assert (await execute(client, "how are you"))["cache"]["outcome"] == "miss"


async def test_feedback_that_a_reuse_was_wrong_takes_it_away(client: Client) -> None:
    """And counts against the flow."""
    await client.deploy("echo", KEPT)
    first = await execute(client, "how are you")
    said = await client.http.post(
        f"/api/v1/executions/{first['execution_id']}/feedback", json={"reuse": "wrong"}
    )
    assert said.status_code == 201, said.text
    assert (await execute(client, "how are you"))["cache"]["outcome"] == "miss"
    (space,) = (await client.http.get("/api/v1/cache/stats")).json()["spaces"]
    assert space["reported_wrong"] == 1


async def test_a_batch_is_taken_in_part(client: Client) -> None:
    """With a reason for each item that is refused; results keep their order."""
    await client.deploy("echo", KEPT)
    items = [
        {"workflow_id": "echo", "input": {"query": "b"}},
        {"workflow_id": "nowhere", "input": {}},
        {"workflow_id": "echo", "input": {"query": 1}},
        {"workflow_id": "echo", "input": {"query": "b"}},
    ]
    answer = await client.http.post("/api/v1/batch/submit", json={"items": items})
    assert answer.status_code == 202, answer.text
    taken = answer.json()
    assert answer.headers["location"] == f"/api/v1/batch/{taken['id']}"
    told = await ended(client, taken["id"])
    assert told["counts"] == {"completed": 2, "refused": 2}
    assert [item["status"] for item in told["items"]] == ["completed", "refused", "refused", "completed"]
    assert [told["items"][index]["error"]["kind"] for index in (1, 2)] == ["not-found", "invalid-input"]
    assert told["items"][0]["execution_id"] == told["items"][3]["execution_id"]
    assert told["items"][0]["output"] == told["items"][3]["output"] == {"answer": "B"}


async def test_a_batch_is_cancelled(client: Client) -> None:
    """What is under way too; a second time it has ended."""
    await client.deploy("hold", HOLD)
    items = [{"workflow_id": "hold", "input": {"query": str(number)}} for number in range(20)]
    taken = (await client.http.post("/api/v1/batch/submit", json={"items": items})).json()
    cancelled = await client.http.post(f"/api/v1/batch/{taken['id']}/cancel")
    assert cancelled.status_code == 202
    told = await ended(client, taken["id"])
    assert told["cancelled"]
    assert set(told["counts"]) == {"cancelled"}


@pytest.mark.parametrize("items", [[], [{"workflow_id": "echo"}] * 1_001, [{"flow": "echo"}]])
async def test_a_batch_that_is_none_is_refused(client: Client, items: list[Any]) -> None:
    """Too few, too many, of another shape."""
    answer = await client.http.post("/api/v1/batch/submit", json={"items": items})
    assert answer.status_code == 422


async def test_a_batch_that_is_not_there(client: Client) -> None:
    """Or is another tenant's."""
    assert (await client.http.get("/api/v1/batch/batch_0")).status_code == 404


async def test_the_same_key_is_the_same_batch(client: Client) -> None:
    await client.deploy("echo", KEPT)
    body = {"items": [{"workflow_id": "echo", "input": {"query": "b"}}]}
    key = {"idempotency-key": "one"}
    first, second = [await client.http.post("/api/v1/batch/submit", json=body, headers=key) for _ in range(2)]
    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
    path = f"/api/v1/batch/{first.json()['id']}"
    waited = await client.http.get(path, headers={"prefer": "wait=20"})
    assert (waited.json()["ended"], waited.headers["preference-applied"]) == (True, "wait=20")
    other = {"items": [{"workflow_id": "echo", "input": {"query": "c"}}]}
    refused = await client.http.post("/api/v1/batch/submit", json=other, headers=key)
    check_problem(refused, 422, "idempotency-key-reused")
    unkeyed = await client.http.post("/api/v1/batch/submit", json=body)
    assert unkeyed.json()["id"] != first.json()["id"]


async def test_usage_tells_what_was_saved(client: Client) -> None:
    await client.deploy("echo", KEPT)
    for _ in range(3):
        await execute(client, "hi")
    for path in ("/api/v1/usage/stats", "/api/v1/usage/workflows/echo"):
        told = (await client.http.get(path)).json()
        assert (told["ever"]["executions"], told["saved"]["reused"]) == (1, 2)
        assert (told["saved"]["usd"], told["saved"]["tokens"]) == ("0.0042", 30)


async def test_a_run_that_only_compares_counts_against_no_limit(tmp_path: Path) -> None:
    settings = Settings(
        encoder="lexical",
        pepper=tmp_path / "pepper",
        tier="tight",
        tiers=(Tier("tight", concurrent=1, daily=1),),
        cache_shadow_share=1.0,
    )
    async with running(settings=settings, asking=True) as client:
        _, shown = await client.app.tenancy.keys.create(Tenant("ann"), SCOPES, by="test")
        client.http.headers["authorization"] = f"Bearer {shown}"
        await client.deploy("echo", KEPT)
        assert [(await execute(client, "hi"))["cache"]["outcome"] for _ in range(2)] == ["miss", "hit"]
        for _ in range(1000):
            if len(client.stage.say.calls) == 2:
                break
            await asyncio.sleep(0.01)
        assert len(client.stage.say.calls) == 2
        (limit,) = [
            each
            for each in (await client.http.get("/api/v1/usage/stats")).json()["limits"]
            if each["name"] == "daily-executions"
        ]
        assert (limit["used"], limit["left"]) == (1, 0)


@pytest.mark.parametrize(
    "query", ["older_than_seconds=-1", "older_than_seconds=x", "older_than_seconds=null", "dry_run=perhaps"]
)
async def test_what_is_forgotten_has_to_be_said_in_its_own_terms(client: Client, query: str) -> None:
    refused = await client.http.delete(f"/api/v1/cache/echo/invalidate?{query}")
    check_problem(refused, 422, "invalid-request")
