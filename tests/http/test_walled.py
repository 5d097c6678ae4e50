"""Agents behind walls that callers register: the way in which a hostile tenant would come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.http.stage import Client, Stage, check_problem, running

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.walls import Feature
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.state.events import Failed, Returned
from stratarouter_runtime.workshops import open_project

needs_walls = pytest.mark.skipif(
    any(features.found()[each] for each in features.needed("sandbox")),
    reason="the kernel lacks what walls need",
)

YAML = {"content-type": "application/yaml"}
SIGNED = "in: { query: string }\nout: string\neffect: pure\n"
MODULE = (
    "AGFzbQEAAAABDAJgAX8Bf2ACf38BfgMDAgABBQQBAQJABgcBfwFBgAgLBxgDBm1lbW9yeQIABWFsbG9jAAADcnVuAAEKIAIRAQF/"
    "IwAhASMAIABqJAAgAQsMACAArUIghiABrYQLABMEbmFtZQIGAQABAQFwBwQBAAFu"
)
"""A module whose output is its input."""
KINDS = {
    "sandbox": ("kind: sandbox\ncode: 'def run(query): return query[::-1]'\n" + SIGNED, "=a", "ih"),
    "wasm": (
        f"kind: wasm\nmodule: {MODULE}\nin: {{ query: string }}\nout: {{ query: string }}\neffect: pure\n",
        "=a.query",
        "hi",
    ),
}


def flow(agent: str, gives: str = "=a") -> str:
    return (
        f'tcfp: "1.0"\nflow: {agent}s\nagents: [{agent}]\nin: {{query: string}}\nout: string\n'
        f"do:\n  - {{id: a, call: {agent}, with: {{query: =query}}}}\nreturn: {gives}\n"
    )


def text(code: str) -> str:
    """A whole CPython behind walls, with this text."""
    body = "".join(f"  {line}\n" for line in code.splitlines())
    return f"kind: sandbox\nengine: python\ncode: |\n{body}{SIGNED}"


async def put(client: Client, name: str, document: str) -> httpx2.Response:
    return await client.http.put(f"/api/v1/agents/{name}", content=document, headers=YAML)


async def run(client: Client, agent: str, gives: str = "=a", query: str = "hi") -> dict[str, Any]:
    """What came of a flow that calls the agent once."""
    assert (await client.deploy(f"{agent}s", flow(agent, gives))).status_code in (200, 201)
    done = (await client.execute(f"{agent}s", query)).json()
    assert isinstance(done, dict)
    return done


async def recorded(client: Client, done: dict[str, Any]) -> Returned | Failed:
    """What the journal holds of its one call."""
    journal = await client.app.runtime.history.journal(ExecutionId(done["execution_id"]))
    [told] = [each for each in journal.events if isinstance(each, Failed | Returned)]
    return told


async def figures(client: Client) -> dict[str, float]:
    client.app.observatory.metrics._told.forget()
    told = (await client.http.get("/metrics")).text
    return {
        sample.name.removeprefix("stratarouter_"): sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if not sample.labels
    }


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Client]:
    """A client of a server with the agents of this project."""
    stage = Stage()
    stage.registry = open_project(folder)
    async with running(stage=stage, settings=Settings(encoder="lexical")) as client:
        yield client


@needs_walls
@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_caller_registers_runs_behind_walls(quick: Client, kind: str) -> None:
    document, gives, expected = KINDS[kind]
    assert (await put(quick, "mine", document)).status_code == 201
    done = await run(quick, "mine", gives)
    assert (done["status"], done["output"]) == ("completed", expected)
    assert (await recorded(quick, done)).isolation == kind


@needs_walls
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def run(query): return open('/etc/shadow').read()", "sandbox"),
        ("import socket\ndef run(query): socket.create_connection(('127.0.0.1', 22))", "sandbox.network"),
        ("import os\ndef run(query): os.fork()", "sandbox.process"),
        ("def run(query): return 'x' * (2 << 30)", "limit.memory"),
        ("def run(query): return 'x' * (9 << 20)", "limit.output"),
    ],
)
async def test_what_a_hostile_caller_registers_fails_and_is_recorded(
    quick: Client, code: str, kind: str
) -> None:
    assert (await put(quick, "mine", text(code))).status_code == 201
    done = await run(quick, "mine")
    assert done["status"] == "failed"
    told = await recorded(quick, done)
    assert isinstance(told, Failed)
    assert (told.failure.kind, told.isolation) == (kind, "sandbox")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_missing_feature_is_named_to_who_registers(
    quick: Client, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    lacking: dict[Feature, str] = dict.fromkeys(features.found(), "") | {"seccomp": "it is turned off"}
    monkeypatch.setattr(features, "found", lambda: lacking)
    problem = check_problem(await put(quick, "mine", KINDS[kind][0]), 422, "link-error")
    assert f"the agent 'mine' cannot run at the level '{kind}' here" in problem["detail"]
    assert "missing seccomp (it is turned off)" in problem["detail"]
    assert (await quick.http.get("/api/v1/agents/mine")).status_code == 404


OURS = """agents:
  ours: {kind: sandbox, engine: python, code: "def run(query): return query", in: {query: string}, out: string, effect: pure}
"""
ASKS = """hosts: [127.0.0.1]
agents:
  asks:
    kind: http
    url: http://127.0.0.1:9/
    headers: {authorization: secret://env/OUR_TOKEN}
    in: {query: string}
    out: string
    effect: pure
"""


@needs_walls
async def test_agents_of_the_project_and_of_callers_share_one_governor(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(OURS)
    async with serving(tmp_path) as client:
        await run(client, "ours")
        before = await figures(client)
        assert (before["sandbox_workers"], before["sandbox_calls_total"]) == (1, 1)
        await put(client, "mine", text("def run(query): return query"))
        await run(client, "mine")
        found = await figures(client)
    assert (found["sandbox_workers"], found["sandbox_calls_total"]) == (2, 2)
    assert found["governor_memory_used_bytes"] == 2 * before["governor_memory_used_bytes"]
    assert found["governor_memory_used_bytes"] <= found["governor_memory_bytes"]
    assert 0 < found["governor_cpu_cores"] <= 4
    assert found["governor_cpu_used_cores"] == found["governor_waiting"] == 0


@needs_walls
async def test_a_secret_of_the_project_is_not_told_by_what_a_caller_registers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_TOKEN", "hush-hush-hush")
    (tmp_path / "agents.yaml").write_text(ASKS)
    async with serving(tmp_path) as client:
        await put(client, "mine", text("def run(query): return query.replace(' ', '')"))
        assert (await run(client, "asks"))["status"] == "failed", "nobody listens, but the secret was given"
        done = await run(client, "mine", query="hush- hush- hush")
    assert done["output"] == "[secret]"
