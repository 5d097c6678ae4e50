"""The governor with real workers: what one tenant asks for does not keep another from its share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from tests.unit.sandbox.walled import MIB, a_call, text_cell

from stratarouter_runtime.ports import AgentReply, Cell
from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.cells import BoxedCells
from stratarouter_runtime.sandbox.governor import gate
from stratarouter_runtime.sandbox.governor.shares import Room
from stratarouter_runtime.system import SystemClock

pytestmark = pytest.mark.skipif(
    any(features.found()[each] for each in features.needed("sandbox")),
    reason="the kernel lacks what walls need",
)

NAP = "import time\ndef run():\n    time.sleep(0.02)\n    return 1"
LIMITS = "import resource\ndef run(): return resource.getrlimit(resource.RLIMIT_AS)"


@pytest.fixture
async def cells() -> AsyncIterator[BoxedCells]:
    made = BoxedCells(SystemClock(), Room(2_000, 1_024 * MIB))
    yield made
    await made.close()


class Load:
    """Calls of several tenants, and in which order they were answered."""

    def __init__(self, cells: BoxedCells) -> None:
        self._cells = cells
        self.answered: list[str] = []
        self.replies: list[AgentReply] = []

    async def call(self, tenant: str, cell: Cell) -> None:
        self.replies.append(await self._cells.call(cell, a_call(tenant)))
        self.answered.append(tenant)


async def test_who_floods_leaves_others_their_share(cells: BoxedCells) -> None:
    cell = text_cell(NAP, seconds=30)
    load = Load(cells)
    flood = [asyncio.create_task(load.call("flood", cell)) for _ in range(60)]
    await asyncio.sleep(0.2)
    ahead = len(load.answered)
    await asyncio.gather(*(load.call("modest", cell) for _ in range(10)))
    meanwhile = Counter(load.answered[ahead:])
    assert meanwhile["modest"] == 10
    assert meanwhile["flood"] <= 16, "one for one, but for what was under way"
    await asyncio.gather(*flood)
    assert all(reply.failure is None for reply in load.replies)


async def test_who_asks_for_more_is_served_less_often(cells: BoxedCells) -> None:
    cheap, dear = text_cell(NAP, seconds=5), text_cell(NAP + "\n", seconds=20)
    load = Load(cells)
    dears = [asyncio.create_task(load.call("dear", dear)) for _ in range(30)]
    cheaps = [asyncio.create_task(load.call("cheap", cheap)) for _ in range(40)]
    await asyncio.gather(*cheaps)
    meanwhile = Counter(load.answered)
    assert meanwhile["dear"] <= 40 / 4 + 6, "four times the seconds, a quarter of the calls"
    await asyncio.gather(*dears)


async def test_the_queue_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate.Governor.__init__, "__kwdefaults__", {"most_waiting": 5, "reclaim": lambda _: 0})
    cells = BoxedCells(SystemClock(), Room(1_000, 1_024 * MIB))
    try:
        load = Load(cells)
        await asyncio.gather(*(load.call("flood", text_cell(NAP, seconds=10)) for _ in range(20)))
        refused = [reply.failure for reply in load.replies if reply.failure is not None]
        assert len(refused) == 20 - 1 - 5
        assert all("5 calls wait already" in failure.message for failure in refused)
    finally:
        await cells.close()


async def test_a_flood_does_not_shut_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate.Governor.__init__, "__kwdefaults__", {"most_waiting": 8, "reclaim": lambda _: 0})
    cells = BoxedCells(SystemClock(), Room(1_000, 1_024 * MIB))
    try:
        load, cell = Load(cells), text_cell(NAP, seconds=30)
        flood = [asyncio.create_task(load.call("flood", cell)) for _ in range(30)]
        await asyncio.sleep(0)
        modest = Load(cells)
        await asyncio.gather(*(modest.call("modest", cell) for _ in range(3)))
        assert all(reply.failure is None for reply in modest.replies)
        await asyncio.gather(*flood)
        governor = cells.stats().governor
        assert (governor.cpu_used, governor.waiting) == (0, 0)
        assert sum(reply.failure is None for reply in load.replies) == 30 - governor.refused
    finally:
        await cells.close()


async def test_address_space_is_what_was_reserved(cells: BoxedCells) -> None:
    reply = await cells.call(text_cell(LIMITS, memory=300 * MIB, disk=10 * MIB), a_call())
    assert reply.output == [300 * MIB, 300 * MIB]
    assert cells.stats().governor.memory_used == 310 * MIB, "and the files it may keep in memory"


async def test_a_hundred_at_once_stay_within_what_they_reserve() -> None:
    small = replace(text_cell(NAP.replace("0.02", "1.5")), memory=64 * MIB, disk=MIB, cpu=0.02, seconds=60)
    cells = BoxedCells(SystemClock(), Room(2_000, 100 * 65 * MIB))
    try:
        calls = [
            asyncio.create_task(cells.call(small, a_call(f"tenant {number % 7}"))) for number in range(110)
        ]
        most = 0
        while not all(call.done() for call in calls):
            most = max(most, cells.stats().workers)
            assert cells.stats().governor.memory_used <= 100 * 65 * MIB
            await asyncio.sleep(0.01)
        assert all(call.result().failure is None for call in calls)
        assert 1 < most <= 100
    finally:
        await cells.close()
