"""How executions begin: what is called before their start is durable, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.unit.executor.test_driver import Rig, hang, rig
from typing_extensions import override

from stratarouter_runtime.errors import StoreUnavailable
from stratarouter_runtime.ids import LOCAL, ExecutionId, derived_execution_id
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.sharing import NOBODY, Lease
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.testing.agents import Answer, called

HARMLESS = """
tcfp: "1.0"
flow: harmless
agents:
  a: {in: {n: int}, out: {n: int}, effect: pure}
in: {n: int}
out: {n: int}
do:
  - {id: x, call: a, with: {n: =n}}
return: =x
"""


class Noting(MemoryStore):
    """Notes what each write made durable, and how many calls had been made by then.

    Begins fail with `fault`; what is added waits until `held` is set.
    """

    rig: Rig

    def __init__(self) -> None:
        super().__init__()
        self.creates: list[tuple[str, int, int]] = []
        self.appends = 0
        self.fault: StoreUnavailable | None = None
        self.held: asyncio.Event | None = None

    @override
    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        self.creates.append((execution.status, len(records), called(self.rig.agents)))
        if self.fault is not None:
            raise self.fault
        return await super().create(execution, records, lease)

    @override
    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        self.appends += 1
        if self.held is not None:
            await self.held.wait()
        await super().append(execution, records, status, lease)


@asynccontextmanager
async def noting(source: str, **scripts: Answer) -> AsyncIterator[tuple[Rig, Noting]]:
    store = Noting()
    async with rig(source, store, None, **scripts) as it:
        store.rig = it
        yield it, store


async def test_a_harmless_call_that_answers_at_once_becomes_durable_with_the_start() -> None:
    async with noting(HARMLESS) as (it, store):
        done = await it.runtime.execute(it.request(1))
        assert (done.status, done.output, done.records) == ("completed", {"n": 2}, 3)
        assert store.creates == [("completed", 3, 1)]
        assert store.appends == 0
        assert await store.find(done.id) == done
        assert (await it.runtime.history.replay(done.id)).reproducible
        await asyncio.sleep(0)
        assert not it.driver.active


async def test_a_harmless_call_that_takes_its_time_holds_up_no_start() -> None:
    async with noting(HARMLESS, a=hang) as (it, store):
        execution = await it.runtime.start(it.request(1))
        assert store.creates == [("running", 1, 1)]
        assert await store.find(execution) is not None


@pytest.mark.parametrize(
    "declared",
    [
        "effect: effect, on_crash: fail",
        "effect: idempotent",
        "effect: pure, cost: {usd: 0.1}",
        "effect: pure, cost: {tokens: 5}",
    ],
)
async def test_a_call_that_somebody_would_notice_waits_for_the_start(declared: str) -> None:
    async with noting(HARMLESS.replace("effect: pure", declared)) as (it, store):
        await it.runtime.execute(it.request(1))
        assert [(status, calls) for status, _, calls in store.creates] == [("running", 0)]


async def test_what_may_have_begun_already_calls_nobody_before_that_is_known() -> None:
    async with noting(HARMLESS) as (it, store):
        first = await it.runtime.execute(it.request(1, key="k"))
        assert await it.runtime.execute(it.request(1, key="k")) == first
        assert [calls for _, _, calls in store.creates] == [0, 1]
        assert called(it.agents) == 1


async def test_a_start_that_fails_leaves_nothing_of_what_was_called_before_it() -> None:
    async with noting(HARMLESS, a=hang) as (it, store):
        store.fault = StoreUnavailable("away")
        with pytest.raises(StoreUnavailable):
            await it.runtime.start(it.request(1))
        assert called(it.agents) == 1
        assert not it.driver.active
        assert await store.search() == []


async def test_a_caller_who_gives_up_does_not_stop_what_has_begun() -> None:
    async with rig(HARMLESS) as it:
        starting = asyncio.create_task(it.runtime.start(it.request(1, key="k")))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        execution = derived_execution_id(LOCAL, "k")
        assert (await it.runtime.wait(execution)).status == "completed"


async def test_nobody_is_told_of_an_end_that_is_not_durable_yet() -> None:
    async with noting(HARMLESS) as (it, store):
        store.held = asyncio.Event()
        execution = await it.runtime.start(it.request(1, key="k"))
        waiting = asyncio.create_task(it.runtime.wait(execution))
        await asyncio.sleep(0.02)
        assert store.appends == 1
        assert (await it.runtime.wait(execution, 0.01)).status == "running"
        assert not waiting.done()
        store.held.set()
        assert await waiting == await store.find(execution)
        assert waiting.result().status == "completed"
