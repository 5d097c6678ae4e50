from __future__ import annotations

from typing import Any

import pytest
from tests.http.stage import ASKING, BOOM, ECHO, Client, check_problem

EXECUTIONS = "/api/v1/executions"


async def executed(client: Client, name: str, source: str, times: int) -> list[str]:
    await client.deploy(name, source)
    return [(await client.execute(name)).json()["execution_id"] for _ in range(times)]


async def pages(client: Client, path: str, key: str, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list, found by their links."""
    found = []
    response = await client.http.get(path, params=query)
    while True:
        assert response.status_code == 200, response.text
        found.append(response.json()[key])
        if response.json()["next_cursor"] is None:
            assert "link" not in response.headers
            return found
        response = await client.http.get(response.links["next"]["url"])


async def test_executions_come_newest_first_page_by_page(client: Client) -> None:
    ids = await executed(client, "echo", ECHO, 5)
    found = await pages(client, EXECUTIONS, "executions", limit=2)
    assert [len(page) for page in found] == [2, 2, 1]
    assert [each["execution_id"] for page in found for each in page] == ids[::-1]
    newest = found[0][0]
    assert (newest["workflow_id"], newest["status"], newest["cost"]["usd"]) == ("echo", "completed", "0.0021")
    assert "error" not in newest


async def test_a_full_last_page_has_no_successor(client: Client) -> None:
    await executed(client, "echo", ECHO, 4)
    assert [len(page) for page in await pages(client, EXECUTIONS, "executions", limit=2)] == [2, 2]


async def test_what_is_added_meanwhile_moves_nothing(client: Client) -> None:
    ids = await executed(client, "echo", ECHO, 3)
    first = (await client.http.get(EXECUTIONS, params={"limit": 2})).json()
    await client.execute("echo")
    second = (await client.http.get(EXECUTIONS, params={"cursor": first["next_cursor"]})).json()
    assert [each["execution_id"] for each in second["executions"]] == [ids[0]]


async def test_executions_are_found_by_workflow_and_status(client: Client) -> None:
    done = await executed(client, "echo", ECHO, 2)
    failed = await executed(client, "boom", BOOM, 1)
    waiting = await executed(client, "asking", ASKING, 1)

    async def ids(path: str = EXECUTIONS, **query: Any) -> list[str]:
        return [
            each["execution_id"] for page in await pages(client, path, "executions", **query) for each in page
        ]

    assert await ids(status="failed") == failed
    assert await ids(status="waiting,failed", limit=1) == waiting + failed
    assert await ids(workflow_id="echo", limit=1) == done[::-1]
    assert await ids("/api/v1/workflows/boom/executions") == failed
    assert await ids("/api/v1/workflows/boom/executions", status="completed") == []
    assert await ids("/api/v1/workflows/never/executions") == []


async def test_the_failure_of_an_execution_is_listed(client: Client) -> None:
    await executed(client, "boom", BOOM, 1)
    (only,) = (await client.http.get(EXECUTIONS)).json()["executions"]
    assert only["error"] == {"kind": "agent.refused", "message": "will not", "step": "0"}


async def test_workflows_come_by_name(client: Client) -> None:
    for name in ("b", "a", "c"):
        await client.deploy(name, ECHO)
    found = await pages(client, "/api/v1/workflows", "workflows", limit=2)
    assert [[each["workflow_id"] for each in page] for page in found] == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("stauts=failed", "?stauts"),
        ("limit=1&limit=2", "?limit"),
        ("cursor=%C3%BC", "?cursor"),
        ("cursor=gICA", "?cursor"),
    ],
)
async def test_a_slip_in_a_query_is_refused(quick: Client, query: str, pointer: str) -> None:
    problem = check_problem(await quick.http.get(f"{EXECUTIONS}?{query}"), 422, "invalid-request")
    assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("limit=0", ""),
        ("limit=201", ""),
        ("limit=x", ""),
        ("status=sleeping", "status is of queued, running"),
    ],
)
async def test_a_value_out_of_range_is_refused(quick: Client, query: str, hint: str) -> None:
    problem = check_problem(await quick.http.get(f"{EXECUTIONS}?{query}"), 422, "invalid-request")
    name = query.partition("=")[0]
    assert problem["errors"][0]["pointer"] == f"?{name}"
    assert problem["detail"].startswith(f"the parameter {name} does not fit: ")
    assert problem["hint"].startswith(hint)
    assert bool(problem["hint"]) == bool(hint)


@pytest.mark.parametrize("cursor", ["ZXhlY18x", ""])
async def test_a_cursor_that_leads_nowhere_is_refused(quick: Client, cursor: str) -> None:
    found = check_problem(await quick.http.get(f"{EXECUTIONS}?cursor={cursor}"), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "?cursor"


async def test_validating_tells_everything_and_keeps_nothing(quick: Client) -> None:
    async def validated(source: str) -> dict[str, Any]:
        response = await quick.http.post(
            "/api/v1/workflows/validate",
            content=source.encode(),
            headers={"content-type": "application/yaml"},
        )
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    good = await validated(ECHO)
    assert (good["valid"], good["diagnostics"], good["agents"]) == (True, [], ["say"])
    deployed = (await quick.deploy("echo", ECHO)).json()
    assert {name: good[name] for name in ("plan", "flow_digest", "worst_case", "effect")} == {
        name: deployed[name] for name in ("plan", "flow_digest", "worst_case", "effect")
    }
    bad = await validated(ECHO.replace("=query", "=qery"))
    assert (bad["valid"], "plan" in bad) == (False, False)
    (mistake,) = bad["diagnostics"]
    assert (mistake["code"], mistake["line"], mistake["severity"]) == ("E210", 9, "error")
    warned = await validated(ECHO + "raises: [never]\n")
    assert [each["severity"] for each in warned["diagnostics"]] != []
    names = (await quick.http.get("/api/v1/workflows")).json()["workflows"]
    assert [each["workflow_id"] for each in names] == ["echo"]
