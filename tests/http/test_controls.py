from __future__ import annotations

import asyncio
from typing import Any

from tests.http.stage import BOOM, ECHO, HOLD, Client, check_problem

ASKS = """tcfp: "1.0"
flow: asks
in: {query: string}
out: {answer: string}
do:
  - {id: q, ask: {text: string}, time: 1h}
return: {answer: =q.text}
"""


def path(execution: str, what: str) -> str:
    return f"/api/v1/executions/{execution}/{what}"


async def begun(client: Client) -> str:
    await client.deploy("hold", HOLD)
    return str((await client.execute("hold", mode="async")).json()["execution_id"])


async def done(client: Client, query: str = "hi") -> dict[str, Any]:
    await client.deploy("echo", ECHO)
    return dict((await client.execute("echo", query)).json())


async def status(client: Client, execution: str) -> str:
    return str((await client.http.get(f"/api/v1/executions/{execution}")).json()["status"])


async def test_a_paused_execution_stands_still_until_it_is_resumed(client: Client) -> None:
    execution = await begun(client)
    pausing = asyncio.ensure_future(client.http.post(path(execution, "pause")))
    await asyncio.sleep(0.01)
    client.stage.gate.set()
    response = await pausing
    if response.status_code == 202:
        assert response.json()["status"] == "paused"
        resumed = await client.http.post(path(execution, "resume"))
        assert resumed.status_code == 202
    else:
        check_problem(response, 409, "invalid-state")
    await client.app.driver.ended(execution)  # type: ignore[arg-type]  # an id is text
    assert await status(client, execution) == "completed"


async def test_what_has_finished_is_neither_paused_nor_resumed(quick: Client) -> None:
    execution = (await done(quick))["execution_id"]
    for what in ("pause", "resume"):
        check_problem(await quick.http.post(path(execution, what)), 409, "invalid-state")


async def test_a_fork_with_another_input_is_another_execution(client: Client) -> None:
    first = await done(client, "hi")
    response = await client.http.post(path(first["execution_id"], "fork"), json={"input": {"query": "ho"}})
    assert response.status_code == 202
    second = response.json()["execution_id"]
    assert response.headers["location"] == f"/api/v1/executions/{second}"
    await client.app.driver.ended(second)
    answer = (await client.http.get(path(first["execution_id"], f"difference/{second}"))).json()
    assert answer["left"] == first["execution_id"]
    assert answer["steps"][0] == {"step": "input", "left": {"query": "hi"}, "right": {"query": "ho"}}
    assert answer["steps"][-1]["right"]["result"] == {"answer": "HO"}


async def test_a_fork_with_another_output_takes_it(quick: Client) -> None:
    first = await done(quick)
    body = {"step": "0", "output": "something else"}
    forked = (await quick.http.post(path(first["execution_id"], "fork"), json=body)).json()["execution_id"]
    await quick.app.driver.ended(forked)
    answer = (await quick.http.get(f"/api/v1/executions/{forked}")).json()
    assert answer["output"] == {"answer": "something else"}


async def test_what_cannot_be_forked_is_refused(quick: Client) -> None:
    execution = (await done(quick))["execution_id"]
    wrong = await quick.http.post(path(execution, "fork"), json={"input": {"query": 1}})
    assert check_problem(wrong, 422, "invalid-input")["errors"][0]["pointer"] == "/input/query"
    check_problem(await quick.http.post(path(execution, "fork"), json={"step": "9"}), 409, "invalid-state")
    check_problem(await quick.http.post(path(execution, "fork"), json={"stp": "0"}), 422, "invalid-request")


async def test_a_failed_execution_is_tried_again_as_a_fork(quick: Client) -> None:
    await quick.deploy("boom", BOOM)
    execution = (await quick.execute("boom")).json()["execution_id"]
    response = await quick.http.post(path(execution, "fork"))
    assert response.status_code == 202
    forked = response.json()["execution_id"]
    await quick.app.driver.ended(forked)
    assert await status(quick, forked) == "failed"


async def test_an_execution_goes_on_with_the_version_that_is_deployed_now(quick: Client) -> None:
    await quick.deploy("asks", ASKS)
    execution = (await quick.execute("asks", mode="async")).json()["execution_id"]
    refused = await quick.http.post(path(execution, "migrate"))
    check_problem(refused, 409, "invalid-state")
    assert "runs this plan already" in refused.json()["detail"]
    await quick.deploy("asks", ASKS.replace("=q.text", '=q.text + "!"'))
    moved = await quick.http.post(path(execution, "migrate"))
    assert moved.status_code == 202
    assert moved.json()["status"] == "waiting"
    await quick.http.post(path(execution, "answer"), json={"step": "q", "value": {"text": "yes"}})
    await quick.app.driver.ended(execution)
    answer = (await quick.http.get(f"/api/v1/executions/{execution}")).json()
    assert answer["output"] == {"answer": "yes!"}
