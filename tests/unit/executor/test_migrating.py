"""Executions that go on with another plan, and executions that are brought back by snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.unit.executor.test_driver import Rig, add, rig
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.errors import InvalidState, StoreUnavailable
from stratarouter_runtime.executor.snapshots import Snapshotter, Snapshotting
from stratarouter_runtime.ids import ExecutionId, FlowId
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.sharing import NOBODY, Lease
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Migrated, Record
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.testing.agents import scripted
from stratarouter_runtime.testing.plans import declared_agents
from stratarouter_runtime.wiring import application

ASKING = """
tcfp: "1.0"
flow: asking
agents: {a: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: {n: int}
do:
  - {id: x, call: a, with: {n: =n}}
  - {id: q, ask: {n: int}, time: 1h}
  - {id: z, call: a, with: {n: =q.n}}
return: =z
"""
LATER = ASKING.replace("{n: =q.n}", "{n: =q.n + 100}")
OTHER = ASKING.replace("with: {n: =n}", "with: {n: =n + 1}")


async def asked(it: Rig) -> ExecutionId:
    execution = await it.runtime.start(it.request())
    assert (await it.runtime.wait(execution)).status == "waiting"
    return execution


async def finish(it: Rig, execution: ExecutionId) -> object:
    await it.runtime.controls.answer(execution, "q", {"n": 10})
    return (await it.runtime.wait(execution)).output


async def test_an_execution_goes_on_with_another_plan_and_still_proves_itself() -> None:
    store = MemoryStore()
    async with rig(ASKING, store=store) as it:
        execution = await asked(it)
        plan = it.runtime.flows.compile(LATER)
        await it.runtime.controls.migrate(execution, plan, "ann")
        row = await it.runtime.history.find(execution)
        assert (row.plan, row.status) == (plan.digest, "waiting")
    async with rig(ASKING, store=store) as it:
        await it.runtime.recover()
        assert await finish(it, execution) == {"n": 111}
        assert (await it.runtime.history.replay(execution)).reproducible
        events = (await it.runtime.history.journal(execution)).events
        assert [event.by for event in events if isinstance(event, Migrated)] == ["ann"]


async def test_one_that_cannot_goes_on_with_its_own() -> None:
    async with rig(ASKING) as it:
        execution = await asked(it)
        with pytest.raises(InvalidState, match=r"record 1 is Returned of step '0', but x has another input"):
            await it.runtime.controls.migrate(execution, it.runtime.flows.compile(OTHER))
        assert (await it.runtime.history.find(execution)).plan == it.plan.digest
        assert await finish(it, execution) == {"n": 11}
        with pytest.raises(InvalidState, match="has finished"):
            await it.runtime.controls.migrate(execution, it.runtime.flows.compile(LATER))


async def test_one_that_was_paused_stays_paused() -> None:
    async with rig(ASKING) as it:
        execution = await asked(it)
        await it.runtime.controls.pause(execution)
        await it.runtime.controls.migrate(execution, it.runtime.flows.compile(LATER))
        assert (await it.runtime.history.find(execution)).status == "paused"
        assert await finish(it, execution) == {"n": 111}


class Losing(MemoryStore):
    """Keeps a migration, and says that it could not."""

    @override
    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        await super().append(execution, records, status, lease)
        if any(isinstance(decode(record.body), Migrated) for record in records):
            raise StoreUnavailable("the answer got lost")


async def test_a_migration_whose_answer_got_lost_is_not_written_over() -> None:
    async with rig(ASKING, Losing()) as it:
        execution = await asked(it)
        await it.runtime.controls.pause(execution)
        later = it.runtime.flows.compile(LATER)
        with pytest.raises(StoreUnavailable):
            await it.runtime.controls.migrate(execution, later)
        row = await it.store.find(execution)
        assert row is not None
        assert (row.plan, row.status) == (later.digest, "paused")
        await it.runtime.recover()
        assert await finish(it, execution) == {"n": 111}


# Snapshots.


LONG = """
tcfp: "1.0"
flow: long
agents: {a: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: {n: int}
do:
  - {id: l, loop: {n: =n}, as: s, while: =s.n < 50, max: 60, do: {call: a, with: {n: =s.n}}}
  - {id: q, ask: {n: int}, time: 1h}
  - {call: a, with: {n: =l.n + q.n}}
"""


def often(it: Rig) -> Snapshotter:
    """Have a snapshot taken every ten records."""
    found = Snapshotter(it.store.snapshots, SystemClock(), Snapshotting(records=10))
    it.driver.snapshotter = found
    return found


@pytest.mark.parametrize("body", [None, b"", b"no snapshot at all"])
async def test_it_goes_on_by_its_snapshot_or_without_it(body: bytes | None) -> None:
    store = MemoryStore()
    async with rig(LONG, store=store) as it:
        taken = often(it)
        execution = await asked(it)
        await asyncio.sleep(0)
        assert taken.stats().written >= 3
    if body is not None:
        await store.snapshots.save(execution, 10_000, body)
    async with rig(LONG, store=store) as it:
        used = often(it)
        await it.runtime.recover()
        assert await finish(it, execution) == {"n": 61}
        assert (used.stats().used, used.stats().unusable) == ((1, 0) if body is None else (0, 1))
        await asyncio.sleep(0.01)
        assert await store.snapshots.load(execution) is None
        assert (await it.runtime.history.replay(execution)).reproducible


async def test_a_snapshot_that_could_not_be_read_is_dropped_at_the_end_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(_: ExecutionId) -> bytes | None:
        raise StoreUnavailable("away")

    store = MemoryStore()
    async with rig(LONG, store=store) as it:
        often(it)
        execution = await asked(it)
        await asyncio.sleep(0)
    assert await store.snapshots.load(execution) is not None
    async with rig(LONG, store=store) as it:
        taken = often(it)
        with monkeypatch.context() as patched:
            patched.setattr(store.snapshots, "load", away)
            await it.runtime.recover()
        assert await finish(it, execution) == {"n": 61}
        assert taken.stats().written == 0
        await asyncio.sleep(0.01)
        assert await store.snapshots.load(execution) is None


async def test_a_snapshot_of_another_journal_is_not_gone_on_from() -> None:
    store = MemoryStore()
    async with rig(LONG, store=store) as it:
        often(it)
        one, two = await asked(it), await asked(it)
        await asyncio.sleep(0)
        body = await store.snapshots.load(one)
        assert body is not None
    await store.snapshots.save(two, 10_000, body)
    async with rig(LONG, store=store) as it:
        used = often(it)
        await it.runtime.recover()
        assert used.stats().unusable == 1
        assert await finish(it, two) == {"n": 61}


async def test_the_settings_say_how_often_a_snapshot_is_taken(tmp_path: Path) -> None:
    settings = Settings(store=tmp_path / "store.db", snapshot_records=10)
    agents = scripted(declared_agents(LONG), {"a": add(1)})
    async with application(settings, Registry(agents)) as app:
        plan = app.runtime.flows.compile(LONG)
        execution = await app.runtime.start(StartExecution(plan, {"n": 1}, FlowId(plan.name)))
        assert (await app.runtime.wait(execution)).status == "waiting"
        await asyncio.sleep(0.05)
        assert app.runtime.driver.snapshotter.stats().written >= 3
