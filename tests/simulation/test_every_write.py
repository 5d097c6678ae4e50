"""Crash and error at every write of every flow, before and after it is kept, on memory and on SQLite."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from typing_extensions import override

from stratarouter_runtime.agents.discovery import load_project
from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Store
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.state.replay import replay
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.storage.sqlite import open_store
from stratarouter_runtime.testing import flows
from stratarouter_runtime.testing.checker import UNKNOWN, check
from stratarouter_runtime.testing.cutting import WAYS, Cut, Trial
from stratarouter_runtime.testing.evidence import Accepted
from stratarouter_runtime.testing.faults import at_once
from stratarouter_runtime.testing.process import Process
from stratarouter_runtime.testing.world import World, simulated_agents
from stratarouter_runtime.workshops import workshop

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
NAMES: Final = sorted(path.parent.name for path in EXAMPLES.glob("*/flow.yaml"))
MOST: Final = 200
"""More writes than any of these flows makes."""


class Aside:
    """A real event loop in a thread of its own, for what a simulated one cannot wait for."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __call__(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def aside() -> Iterator[Aside]:
    loop = Aside()
    yield loop
    loop.close()


class Disk:
    """A file that each process opens anew."""

    def __init__(self, path: Path, aside: Aside) -> None:
        self._path = path
        self._aside = aside
        self._store: Store | None = None

    def __call__(self) -> Store:
        self.close()
        self._store = open_store(self._path)
        return self._store

    def close(self) -> None:
        if self._store is not None:
            self._aside(self._store.close())


def cuts(run: Callable[[Cut | None], int]) -> int:
    """Run once undisturbed, and once for every cut; how many cuts there were."""
    writes = run(None)
    assert 0 < writes < MOST
    for at in range(writes):
        for how in WAYS:
            run(Cut(at, how))
    return writes * len(WAYS)


def trial(name: str, cut: Cut | None, **where: Any) -> int:
    """One of the small flows under one cut, judged as stories are; the number of writes it made."""
    told, n = flows.BY_NAME[name], 4

    def request(_: Process) -> StartExecution:
        return StartExecution(flows.plan(name), {"n": n}, FlowId(name), key="k")

    value = None if told.asks is None else told.asks(n)
    answers = {"q": {"happened": True, "output": value} if told.doubts else value}
    held = Trial(request, simulated_agents, cut=cut, answers=answers, **where)
    at_start = flows.plan("inner")
    where.get("finish", at_once)(held._kept.keep_plan(at_start.digest, at_start.document))
    row, evidence = held.run()
    evidence.accepted.append(Accepted(row.id, told, n))
    evidence.ends[row.id] = row
    check(evidence, held.loop)
    if row.status != "completed":
        assert row.failure is not None
        # A budget that is too small, or a call that was under way: all else must complete.
        limited = told.usd is not None and row.failure.kind.startswith("limit.")
        assert limited or (cut is not None and UNKNOWN in row.failure.message)
    return held.writes


@pytest.mark.parametrize("name", flows.BY_NAME)
def test_every_write_of_every_flow_in_memory(name: str) -> None:
    def run(cut: Cut | None) -> int:
        store = MemoryStore()
        return trial(name, cut, reopen=lambda: store)

    assert cuts(run) >= 3 * len(WAYS)


ON_DISK: Final = [
    name if name in {"chain", "outer"} else pytest.param(name, marks=pytest.mark.full)
    for name in flows.BY_NAME
]


@pytest.mark.parametrize("name", ON_DISK)
def test_every_write_of_every_flow_on_disk(name: str, tmp_path: Path, aside: Aside) -> None:
    number = iter(range(10**6))

    def run(cut: Cut | None) -> int:
        disk = Disk(tmp_path / f"{next(number)}.db", aside)
        try:
            return trial(name, cut, reopen=disk, finish=aside)
        finally:
            disk.close()

    assert cuts(run) >= 3 * len(WAYS)


class ElsewhereAgent(Agent):
    """Another agent, called on a real loop; counts calls."""

    def __init__(self, agent: Agent, aside: Aside, calls: Counter[tuple[str, int]]) -> None:
        self._agent = agent
        self._aside = aside
        self._calls = calls
        self.name, self.signature, self.digest = agent.name, agent.signature, agent.digest

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        self._calls[call.key, call.attempt] += 1
        reply: AgentReply = self._aside(self._agent.call(call))
        return reply


@pytest.mark.parametrize("name", NAMES)
def test_every_write_of_every_example(name: str, aside: Aside) -> None:
    project = load_project(EXAMPLES / name, workshop())
    source = (EXAMPLES / name / "flow.yaml").read_bytes()
    given = msgspec.json.decode((EXAMPLES / name / "input.json").read_bytes())
    ends: list[tuple[str, Any]] = []

    def run(cut: Cut | None) -> int:
        calls: Counter[tuple[str, int]] = Counter()

        def agents(_: World, __: int) -> Registry:
            return Registry(ElsewhereAgent(agent, aside, calls) for agent in project.values())

        def request(process: Process) -> StartExecution:
            return StartExecution(
                process.runtime.flows.compile(source), given, FlowId(name), key="k", seed="00" * 16
            )

        store = MemoryStore()
        held = Trial(request, agents, cut=cut, reopen=lambda: store)
        row, evidence = held.run()
        document = at_once(store.plan(row.plan))
        assert document is not None
        assert replay(flows.restored(document), evidence.records(row.id)).run.finished is not None
        ends.append((row.status, row.output))
        # What was under way at the cut is called again, once: agents of the examples allow that.
        assert max(calls.values()) <= (1 if cut is None else 2)
        return held.writes

    assert cuts(run) >= 2 * len(WAYS)
    assert {status for status, _ in ends} == {"completed"}
