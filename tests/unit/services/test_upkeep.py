"""Two processes over one store: who drives, who is asked, and who takes over."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from tests.unit.executor.test_driver import ASKING, CHAIN, Rig, add, hang
from typing_extensions import override

from stratarouter_runtime.errors import (
    Conflict,
    InvalidInput,
    InvalidState,
    LeaseLost,
    NotFound,
    StoreUnavailable,
)
from stratarouter_runtime.executor import presence
from stratarouter_runtime.executor.driver import Driver
from stratarouter_runtime.executor.recovery import resume
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import AgentCall, Execution
from stratarouter_runtime.sharing import NOBODY, Lease
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.testing.agents import Answer, called
from stratarouter_runtime.testing.stores import FailingStore

SPAN = 0.5

ASKING_TWICE = ASKING.replace("do:\n", "do:\n  - {id: p, ask: {ok: bool}, time: 1h}\n")


class Process(Rig):
    """A runtime that looks after itself, until it is killed or stopped."""

    def __init__(self, source: str, store: MemoryStore, **scripts: Answer) -> None:
        super().__init__(source, store, {name: add(1) for name in ("a", "b") if source is CHAIN} | scripts)
        self.upkeep = asyncio.create_task(self.runtime.upkeep(claiming=True).run())

    def kill(self) -> None:
        """Nothing of it runs any more."""
        self.upkeep.cancel()
        held = self.driver.presence
        if held._keeping is not None:
            held._keeping.cancel()
        for _, task in self.driver._drives.values():
            task.cancel()


@asynccontextmanager
async def two(source: str, **scripts: Answer) -> AsyncIterator[tuple[Process, Process, MemoryStore]]:
    store = MemoryStore(SPAN, lambda: asyncio.get_running_loop().time())
    one, other = Process(source, store, **scripts), Process(source, store)
    yield one, other, store
    for process in (one, other):
        process.kill()
        with suppress(asyncio.CancelledError):
            await process.upkeep


async def test_a_question_is_answered_once_by_whoever_is_asked() -> None:
    async with two(ASKING) as (one, other, _):
        execution = (await one.runtime.execute(one.request())).id
        with pytest.raises(InvalidInput, match="does not fit"):
            await other.runtime.controls.answer(execution, "q", {"ok": "perhaps"})
        answers = [other.runtime.controls.answer(execution, "q", {"ok": True}, "ann") for _ in range(3)]
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        assert sorted(str(type(outcome).__name__) for outcome in outcomes) == [
            "InvalidState",
            "InvalidState",
            "NoneType",
        ]
        assert (await other.runtime.wait(execution, 5)).output == {"ok": True}
        assert execution not in other.driver.active
        assert other.store.mail._letters == {}  # type: ignore[attr-defined]  # of the reference


async def test_cancel_and_pause_reach_who_drives_and_who_resumes_drives_on() -> None:
    async with two(ASKING) as (one, other, _):
        first, second = [(await one.runtime.execute(one.request(n))).id for n in range(2)]
        await other.runtime.controls.cancel(first, "enough", "bob")
        assert (await other.runtime.wait(first, 5)).status == "cancelled"
        await other.runtime.controls.pause(second)
        assert (await one.runtime.history.find(second)).status == "paused"
        with pytest.raises(InvalidState, match="has finished"):
            await other.runtime.controls.cancel(first)
        await other.runtime.controls.resume(second)
        assert list(other.driver.active) == [second]
        await one.runtime.controls.answer(second, "q", {"ok": False})
        assert (await one.runtime.wait(second, 5)).output == {"ok": False}


async def test_who_waits_elsewhere_sees_the_end() -> None:
    go = asyncio.Event()

    async def slow(call: object) -> dict[str, int]:
        await go.wait()
        return {"n": 5}

    async with two(CHAIN, a=slow) as (one, other, _):
        execution = await one.runtime.start(one.request())
        waiting = asyncio.create_task(other.runtime.wait(execution, 5))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        go.set()
        assert (await waiting).status == "completed"
        assert called(other.agents) == 0


async def test_what_a_killed_process_did_another_takes_up() -> None:
    async with two(CHAIN, a=hang) as (one, other, _):
        execution = await one.runtime.start(one.request())
        await asyncio.sleep(0.05)
        one.kill()
        done = await other.runtime.wait(execution, 5)
        assert (done.status, done.output) == ("completed", {"n": 4})


async def test_a_process_that_lost_its_lease_drops_its_work_and_goes_on_as_another() -> None:
    calls = 0

    async def hang_once(call: AgentCall) -> dict[str, int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        return {"n": call.input["n"] + 1}

    async with two(CHAIN, a=hang_once) as (one, other, store):
        execution = await one.runtime.start(one.request())
        waiting = asyncio.create_task(one.runtime.wait(execution, 5))
        await asyncio.sleep(0.05)
        hold = one.driver.presence.held
        assert isinstance(hold, presence.Hold)
        await store.leases.leave(hold.number)  # as if another had taken it
        done = await waiting
        assert (done.status, done.output) == ("completed", {"n": 4})
        assert called(one.agents) + called(other.agents) == 4  # the one under way was called again
        assert hold.lost
        with pytest.raises(LeaseLost):
            await store.append(execution, [], None, hold.number)
        assert (await one.runtime.execute(one.request(7))).status == "completed"


async def test_a_call_that_waited_in_an_agent_hears_that_the_lease_was_lost() -> None:
    begun: list[str] = []

    async def queued(call: AgentCall) -> dict[str, int]:
        await waited.wait()
        await call.confirm()
        begun.append(call.key)
        return {"n": 1}

    waited = asyncio.Event()
    async with two(CHAIN, b=queued) as (one, _, store):
        await one.runtime.start(one.request())
        await asyncio.sleep(0.05)
        hold = one.driver.presence.held
        assert isinstance(hold, presence.Hold)
        await store.leases.leave(hold.number)  # as if another had taken it while this one was stopped
        hold.until = 0.0
        waited.set()
        await asyncio.sleep(0.05)
        assert hold.lost
        assert not begun


async def test_an_answer_that_was_being_given_is_not_taken_for_an_earlier_one() -> None:
    """Who had begun to serve the letter ended before it did: the same person had said the same before."""
    async with two(ASKING_TWICE) as (one, other, store):
        execution = (await one.runtime.execute(one.request())).id
        await one.runtime.controls.answer(execution, "p", {"ok": True}, "ann")
        await one.runtime.wait(execution)
        one.upkeep.cancel()
        answering = asyncio.create_task(other.runtime.controls.answer(execution, "q", {"ok": True}, "ann"))
        await asyncio.sleep(0.05)
        hold = one.driver.presence.held
        assert isinstance(hold, presence.Hold)
        assert len(await store.mail.collect(hold.number)) == 1
        one.kill()
        await answering
        assert (await other.runtime.wait(execution, 5)).output == {"ok": True}


async def test_what_was_paused_meanwhile_is_not_taken_up_by_itself() -> None:
    async with two(ASKING) as (one, other, store):
        execution = (await one.runtime.execute(one.request())).id
        await one.runtime.controls.pause(execution)
        # As if somebody had looked for what stands still just before.
        for process in (one, other):
            assert not await resume(execution, store, process.runtime._plans, process.driver)
        assert (await one.runtime.history.find(execution)).status == "paused"
        await other.runtime.controls.resume(execution)
        assert list(other.driver.active) == [execution]


async def test_what_cannot_be_taken_up_is_tried_ever_more_rarely() -> None:
    async with two(ASKING) as (one, other, store):
        await one.runtime.execute(one.request())
        other.upkeep.cancel()
        one.kill()
        store._plans.clear()
        hold = one.driver.presence.held
        assert isinstance(hold, presence.Hold)
        await store.leases.leave(hold.number)
        upkeep = other.runtime.upkeep(claiming=True)
        left = [len((await upkeep.round()).left) for _ in range(2_000)]
        assert left[0] == 1
        assert 1 < sum(left) < 8


async def test_what_stands_still_is_found_soon_after_trouble_and_in_good_times_later() -> None:
    async with two(ASKING) as (one, _, store):
        execution = (await one.runtime.execute(one.request())).id
        one.upkeep.cancel()
        upkeep, looks, held = one.runtime.upkeep(claiming=True), 0, store.leases.held

        async def look(lease: Lease) -> list[ExecutionId]:
            nonlocal looks
            looks += 1
            return await held(lease)

        store.leases.held = look  # type: ignore[method-assign]

        async def rounds_until_found() -> int:
            _, task = one.driver._drives[execution]
            await asyncio.sleep(0)  # until it is at work
            task.cancel()
            await asyncio.wait([task])
            rounds = [await upkeep.round() for _ in range(1_000)]
            return [bool(each.resumed) for each in rounds].index(True)

        for _ in range(1_000):
            await upkeep.round()
        assert 3 < looks < 12
        assert await rounds_until_found() <= 240
        one.driver.stopped_here([execution])
        await upkeep.round()
        assert one.driver.stopped == []  # it is at work
        assert await rounds_until_found() <= 20


async def test_what_could_not_be_migrated_or_resumed_belongs_to_nobody_again() -> None:
    async with two(ASKING) as (one, other, store):
        execution = (await one.runtime.execute(one.request())).id
        await one.runtime.controls.pause(execution)
        with pytest.raises(InvalidState):
            await one.runtime.controls.migrate(
                execution, one.runtime.flows.compile(ASKING.replace("n: int", "m: int"))
            )
        kept, one.runtime._plans._plans, store._plans = store._plans, OrderedDict(), {}
        with pytest.raises(NotFound, match="no plan"):
            await one.runtime.controls.resume(execution)
        store._plans = kept
        await other.runtime.controls.resume(execution)
        assert list(other.driver.active) == [execution]


async def test_who_resumes_what_another_process_is_changing_is_told() -> None:
    async with two(ASKING) as (one, other, store):
        execution = (await one.runtime.execute(one.request())).id
        await one.runtime.controls.pause(execution)
        await store.leases.take((await one.driver.hold()).number, execution)
        with pytest.raises(Conflict, match="another process"):
            await other.runtime.controls.resume(execution)


async def test_who_pauses_hears_that_the_lease_was_lost_meanwhile() -> None:
    async with two(CHAIN, a=hang) as (one, _, store):
        execution = await one.runtime.start(one.request())
        await asyncio.sleep(0.05)
        pausing = asyncio.create_task(one.runtime.controls.pause(execution))
        await asyncio.sleep(0.05)
        hold = one.driver.presence.held
        assert isinstance(hold, presence.Hold)
        await store.leases.leave(hold.number)  # as if another had taken it
        with pytest.raises(LeaseLost):
            await pausing


async def test_a_drained_process_hands_over_at_once() -> None:
    async with two(ASKING) as (one, other, _):
        execution = (await one.runtime.execute(one.request())).id
        await one.driver.drain(1.0)
        await asyncio.sleep(0.6 * SPAN)
        assert list(other.driver.active) == [execution]


async def test_what_a_failing_store_stopped_goes_on_by_itself() -> None:
    store = FailingStore(2, StoreUnavailable("away"))
    process = Process(CHAIN, store)
    with pytest.raises(StoreUnavailable):
        await process.runtime.execute(process.request())
    assert len(process.driver.stopped) == 1
    store.mend()
    await asyncio.sleep(1.0)
    (row,) = await store.search()
    assert row.status in {"completed", "failed"}
    process.kill()


class Stalling(MemoryStore):
    """A process over it is stopped after its first write, for longer than its lease."""

    driver: Driver

    @override
    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        created = await super().create(execution, records, lease)
        hold = self.driver.presence.held
        assert hold is not None
        hold.until = 0.0
        await self.leases.leave(lease)
        return created


async def test_a_process_that_was_stopped_between_writing_and_acting_does_not_act() -> None:
    store = Stalling(SPAN, lambda: asyncio.get_running_loop().time())
    stale = Rig(CHAIN, store, {"a": add(1), "b": add(1)})
    store.driver = stale.driver
    execution = await stale.runtime.start(stale.request(key="k"))
    await asyncio.sleep(0.05)
    assert called(stale.agents) == 0
    assert not stale.driver.active
    assert stale.driver.stopped == [execution]
    row = await store.find(execution)
    assert row is not None
    assert (row.status, row.records) == ("running", 1)
