"""Pausing, resuming and forking executions, on a real event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.executor.test_driver import CHAIN, child_of, hang, rig

from stratarouter_runtime.errors import InvalidState, NotFound
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.state.difference import Difference
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.state.fork import Change
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.testing.agents import called

PURE = CHAIN.replace("effect: effect, on_crash: fail", "effect: pure")
"""A chain of three: a adds one, b adds one, a adds one."""


async def test_a_paused_execution_stops_stays_so_over_a_restart_and_goes_on_when_resumed() -> None:
    store, go, reached = MemoryStore(), asyncio.Event(), asyncio.Event()

    async def slow(call: Any) -> Any:
        reached.set()
        await go.wait()
        return {"n": call.input["n"] + 1}

    async with rig(PURE, store=store, a=slow) as it:
        execution = await it.runtime.start(it.request())
        await reached.wait()
        pausing = asyncio.create_task(it.runtime.controls.pause(execution))
        await asyncio.sleep(0)
        go.set()
        await pausing
        assert (await it.runtime.history.find(execution)).status == "paused"
        assert called(it.agents) == 1
    async with rig(PURE, store=store) as it:
        assert (await it.runtime.recover()).resumed == ()
        await it.runtime.controls.resume(execution)
        done = await it.runtime.wait(execution)
        assert (done.status, done.output) == ("completed", {"n": 4})
        assert called(it.agents) == 2
        assert (await it.runtime.history.replay(execution)).reproducible


async def test_resuming_is_durable_before_anything_happens() -> None:
    store = MemoryStore()
    async with rig(PURE, store=store, b=hang) as it:
        execution = await it.runtime.start(it.request())
        await asyncio.sleep(0.01)
        pausing = asyncio.create_task(it.runtime.controls.pause(execution))
        await asyncio.sleep(0.01)
        await it.driver.drain(0.01)
        with pytest.raises(asyncio.CancelledError):
            await pausing
        assert (await it.runtime.history.find(execution)).status == "running"


async def test_what_has_finished_cannot_be_paused() -> None:
    async with rig(PURE) as it:
        done = await it.runtime.execute(it.request())
        with pytest.raises(InvalidState, match="has finished"):
            await it.runtime.controls.pause(done.id)


async def test_a_fork_runs_on_from_where_it_is_different() -> None:
    async with rig(PURE) as it:
        done = await it.runtime.execute(it.request(1))
        forked = await it.runtime.controls.fork(done.id, Change(step="1", output={"n": 100}))
        other = await it.runtime.wait(forked)
        assert (other.status, other.output) == ("completed", {"n": 101})
        assert called(it.agents) == 4
        assert await it.runtime.history.difference(done.id, forked) == [
            Difference("1", {"n": 3}, {"n": 100}),
            Difference("2", {"n": 4}, {"n": 101}),
            Difference(
                "",
                {"status": "completed", "result": {"n": 4}},
                {"status": "completed", "result": {"n": 101}},
            ),
        ]
        assert (await it.runtime.history.replay(forked)).reproducible


async def test_a_failed_execution_goes_on_as_a_fork_with_what_it_lacks() -> None:
    store = MemoryStore()
    async with rig(PURE, store=store, b=lambda _: Failure("agent.unavailable", "down")) as it:
        failed = await it.runtime.execute(it.request())
        assert failed.status == "failed"
    async with rig(PURE, store=store) as it:
        again = await it.runtime.wait(await it.runtime.controls.fork(failed.id, Change()))
        assert (again.status, again.output) == ("completed", {"n": 4})
        assert called(it.agents) == 2
        assert (await child_of(it, failed.id)).id == again.id


async def test_there_is_no_fork_of_nothing() -> None:
    async with rig(PURE) as it:
        with pytest.raises(NotFound):
            await it.runtime.controls.fork(ExecutionId("exec_0"), Change())


async def test_a_fork_that_changes_nothing_is_whole_at_once() -> None:
    async with rig(PURE) as it:
        done = await it.runtime.execute(it.request(1))
        same = await it.runtime.wait(await it.runtime.controls.fork(done.id, Change()))
        assert same.output == done.output
        assert called(it.agents) == 3
        assert await it.runtime.history.difference(done.id, same.id) == []
