"""Calls of many executions made as one, through the whole runtime: each has its own fact, and replays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stratarouter_runtime.agents.discovery import load_project
from stratarouter_runtime.ids import FlowId, Tenant
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.state.events import Failed, Returned
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import workshop

AGENTS = """
import threading
from stratarouter_runtime import AgentError, Batch, Cost, agent

made = []
begun = threading.Event()
gate = threading.Event()
gate.set()

@agent(effect="pure", errors=["odd"], batch=Batch(64, wait="20ms"), cost=Cost(usd=0.25))
def double(n: list[int]) -> list[int | AgentError]:
    made.append(list(n))
    begun.set()
    gate.wait(30)
    return [AgentError("odd") if each == 13 else 2 * each for each in n]
"""

FLOW = """
tcfp: "1.0"
flow: doubled
agents: { double: { in: { n: int }, out: int, effect: pure, errors: [odd], cost: { usd: 0.25 } } }
in: { n: int }
out: int
raises: [odd]
errors: { odd: json }
do: [{ id: d, call: double, with: { n: =n }, time: 10s }]
return: =d
"""


class Stage:
    """An application over a project with one agent that doubles lists of numbers."""

    def __init__(self, app: Application, agents: Any) -> None:
        self.app = app
        self.made: list[list[int]] = agents.made
        self.gate = agents.gate
        self.begun = agents.begun
        self.plan = app.runtime.flows.compile(FLOW.encode())

    def request(self, number: int, tenant: str = "local") -> StartExecution:
        return StartExecution(
            plan=self.plan, input={"n": number}, flow=FlowId("doubled"), tenant=Tenant(tenant)
        )

    async def run(self, *requests: StartExecution) -> list[Execution]:
        return await asyncio.gather(*(self.app.runtime.execute(each, 30.0) for each in requests))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents.py").write_text(AGENTS)
    return tmp_path


def module_of(registry: Any) -> Any:
    """The module that the functions of a project came from."""
    function = registry["double"].agent._definition.function
    return type("Agents", (), function.__globals__)


async def test_executions_share_a_call_and_each_journals_its_own_fact(project: Path) -> None:
    registry = load_project(project, workshop())
    async with application(Settings(), registry, store=":memory:") as app:
        stage = Stage(app, module_of(registry))
        rows = await stage.run(*map(stage.request, range(10, 20)))
        assert [row.output for row in rows] == [None if n == 13 else 2 * n for n in range(10, 20)]
        assert [row.status for row in rows].count("failed") == 1
        assert sorted(n for group in stage.made for n in group) == [*range(10, 20)]
        assert len(stage.made) < 10
        for row in rows:
            assert (await app.runtime.history.replay(row.id)).reproducible
            events = (await app.runtime.history.journal(row.id, row.tenant)).events
            facts = [event for event in events if isinstance(event, Returned | Failed)]
            assert [fact.usage.usd for fact in facts] == [0.25]


async def test_cancelling_an_execution_withdraws_its_input_alone(project: Path) -> None:
    registry = load_project(project, workshop())
    async with application(Settings(), registry, store=":memory:") as app:
        stage = Stage(app, module_of(registry))
        stage.gate.clear()
        first = await app.runtime.start(stage.request(1))
        second = await app.runtime.start(stage.request(2))
        await asyncio.to_thread(stage.begun.wait, 30)
        await app.runtime.controls.cancel(first, "no longer wanted")
        stage.gate.set()
        assert (await app.runtime.wait(second, 30.0)).output == 4
        assert (await app.runtime.wait(first, 30.0)).status == "cancelled"


async def test_tenants_share_no_call(project: Path) -> None:
    registry = load_project(project, workshop())
    async with application(Settings(), registry, store=":memory:") as app:
        stage = Stage(app, module_of(registry))
        await stage.run(*(stage.request(n, f"t{n % 2}") for n in range(8)))
        assert all(len({n % 2 for n in group}) == 1 for group in stage.made)
