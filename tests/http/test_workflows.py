from __future__ import annotations

import asyncio
import json

import pytest
from tests.http.stage import BOOM, ECHO, Client, check_problem

from stratarouter_runtime.api.exchange import MAX_BODY
from stratarouter_runtime.api.workflows import RESERVED

PATH = "/api/v1/workflows/echo"
YAML = {"content-type": "application/yaml"}
AS_JSON = json.dumps(
    {
        "tcfp": "1.0",
        "flow": "echo",
        "agents": ["say"],
        "in": {"query": "string"},
        "out": {"answer": "string"},
        "do": [{"id": "a", "call": "say", "with": {"text": "=query"}}],
        "return": {"answer": "=a"},
    }
)


async def test_a_new_workflow_is_created_a_second_version_replaces_it(client: Client) -> None:
    first = await client.deploy("echo", ECHO)
    assert first.status_code == 201
    assert first.headers["location"] == PATH
    found = first.json()
    assert first.headers["etag"] == f'"{found["plan"]}"'
    assert (found["workflow_id"], found["flow"], found["source"]) == ("echo", "echo", ECHO)
    assert (found["effect"], found["agents"]) == ("pure", ["say"])
    assert found["worst_case"] == {"steps": 1, "attempts": 1, "usd": "0.01", "tokens": 100}
    second = await client.deploy("echo", BOOM)
    assert second.status_code == 200
    assert "location" not in second.headers
    assert second.headers["etag"] != first.headers["etag"]
    assert (await client.http.get(PATH)).json() == second.json()


async def test_yaml_and_json_of_one_flow_are_one_plan(client: Client) -> None:
    first = await client.deploy("echo", ECHO)
    second = await client.http.put(PATH, content=AS_JSON, headers={"content-type": "application/json"})
    assert second.status_code == 200
    assert second.headers["etag"] == first.headers["etag"]
    assert second.json()["source"] == AS_JSON
    assert (await client.execute("echo")).json()["output"] == {"answer": "HI"}


async def test_the_stated_notation_is_the_one_that_is_read(quick: Client) -> None:
    response = await quick.http.put(PATH, content=ECHO, headers={"content-type": "application/json"})
    found = check_problem(response, 422, "invalid-flow")
    assert found["errors"][0]["code"] == "E102"


async def test_a_flow_with_mistakes_is_refused_with_all_of_them(quick: Client) -> None:
    wrong = ECHO.replace("{text: =query}", "{text: =qury}").replace("{answer: =a}", "{answer: =b.c}")
    found = check_problem(await quick.deploy("echo", wrong), 422, "invalid-flow")
    lines = wrong.splitlines()
    assert len(found["errors"]) >= 2
    for mistake in found["errors"]:
        assert mistake["pointer"].startswith("/")
        assert mistake["severity"] == "error"
        assert mistake["code"].startswith("E")
        assert "=" in lines[mistake["line"] - 1][mistake["column"] - 2 :]
    assert any("query" in mistake.get("hint", "") for mistake in found["errors"])
    check_problem(await quick.http.get(PATH), 404, "not-found")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E103"),
        (b"\xff", "E105"),
        (b"a: &x 1", None),
        (b"a: 1\na: 2", None),
        (b"[" * 1000, None),
    ],
)
async def test_a_document_that_is_no_flow_is_a_problem_with_its_place(
    quick: Client, content: bytes, code: str | None
) -> None:
    response = await quick.http.put(PATH, content=content, headers=YAML)
    found = check_problem(response, 422, "invalid-flow")
    assert found["errors"]
    assert all(mistake["line"] >= 1 for mistake in found["errors"])
    assert code is None or found["errors"][0]["code"] == code


async def test_a_flow_whose_agents_are_missing_is_refused(quick: Client) -> None:
    missing = ECHO.replace("agents: [say]", "agents: {gone: {in: {text: string}, out: string}}").replace(
        "call: say", "call: gone"
    )
    found = check_problem(await quick.deploy("echo", missing), 422, "link-error")
    assert "gone" in found["detail"]


@pytest.mark.parametrize("name", ["-a", ".a", "a b", "a" * 129, "é", "a%0Ab"])
async def test_an_id_that_cannot_be_one_is_refused(quick: Client, name: str) -> None:
    check_problem(await quick.deploy(name, ECHO), 422, "invalid-request")


@pytest.mark.parametrize("name", ["a", "9", "support.triage", "a_b-c.D", "a" * 128])
async def test_an_id_that_can_be_one_is_taken(quick: Client, name: str) -> None:
    assert (await quick.deploy(name, ECHO)).status_code == 201
    assert (await quick.http.get(f"/api/v1/workflows/{name}")).json()["workflow_id"] == name


@pytest.mark.parametrize("name", sorted(RESERVED))
async def test_a_verb_is_no_workflow(quick: Client, name: str) -> None:
    check_problem(await quick.deploy(name, ECHO), 405, "method-not-allowed")


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-yaml"])
async def test_a_flow_of_another_type_is_415(quick: Client, kind: str) -> None:
    response = await quick.http.put(PATH, content=ECHO, headers={"content-type": kind})
    assert "application/yaml" in check_problem(response, 415, "unsupported-media-type")["detail"]


async def test_a_flow_that_is_too_large_is_413(quick: Client) -> None:
    padding = "#" + "x" * (MAX_BODY - len(ECHO.encode()) - 1)
    assert (await quick.deploy("echo", ECHO + padding)).status_code == 201
    check_problem(await quick.deploy("echo", ECHO + padding + "x"), 413, "body-too-large")


# Conditions.


async def test_what_somebody_else_deployed_is_not_overwritten(client: Client) -> None:
    first = (await client.deploy("echo", ECHO)).headers["etag"]
    second = (await client.deploy("echo", BOOM, **{"if-match": first})).headers["etag"]
    check_problem(await client.deploy("echo", ECHO, **{"if-match": first}), 412, "precondition-failed")
    assert (await client.http.get(PATH)).headers["etag"] == second


@pytest.mark.parametrize(
    ("condition", "fresh", "there"),
    [
        ({"if-match": "*"}, 412, 200),
        ({"if-match": '"other", TAG'}, 412, 200),
        ({"if-match": "W/TAG"}, 412, 412),
        ({"if-match": '"other"'}, 412, 412),
        ({"if-none-match": "*"}, 201, 412),
        ({"if-none-match": "TAG"}, 201, 412),
        ({"if-none-match": '"other"'}, 201, 200),
    ],
)
async def test_conditions_hold_as_http_says(
    quick: Client, condition: dict[str, str], fresh: int, there: int
) -> None:
    tag = (await quick.deploy("model", ECHO)).headers["etag"]
    sent = {name: value.replace("TAG", tag) for name, value in condition.items()}
    assert (await quick.deploy("echo", ECHO, **sent)).status_code == fresh
    await quick.deploy("echo", ECHO)
    assert (await quick.deploy("echo", ECHO, **sent)).status_code == there


async def test_of_two_who_create_at_once_one_wins(client: Client) -> None:
    responses = await asyncio.gather(
        *(client.deploy("echo", source, **{"if-none-match": "*"}) for source in (ECHO, BOOM, ECHO))
    )
    assert sorted(response.status_code for response in responses) == [201, 412, 412]


async def test_what_has_not_changed_is_not_sent_again(quick: Client) -> None:
    tag = (await quick.deploy("echo", ECHO)).headers["etag"]
    for sent, status in ((tag, 304), (f"W/{tag}", 304), ('"other"', 200)):
        response = await quick.http.get(PATH, headers={"if-none-match": sent})
        assert (response.status_code, response.headers["etag"]) == (status, tag)
        assert (response.content == b"") == (status == 304)


async def test_a_retired_workflow_is_executed_no_more_and_what_was_is_kept(client: Client) -> None:
    tag = (await client.deploy("echo", ECHO)).headers["etag"]
    done = (await client.execute("echo")).json()["execution_id"]
    path = "/api/v1/workflows/echo"
    check_problem(await client.http.delete(path, headers={"if-match": '"other"'}), 412, "precondition-failed")
    assert (await client.http.delete(path, headers={"if-match": tag})).status_code == 204
    check_problem(await client.http.delete(path), 404, "not-found")
    check_problem(await client.http.get(path), 404, "not-found")
    check_problem(await client.execute("echo", "new"), 404, "not-found")
    assert (await client.http.get(f"/api/v1/executions/{done}")).json()["status"] == "completed"
    assert (await client.deploy("echo", ECHO)).status_code == 201
