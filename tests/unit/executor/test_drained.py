"""What a process that stopped in good order leaves to the next: every answer it had, and no more time than there is."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.executor.test_driver import CHAIN, hang, rig
from typing_extensions import override

from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemClock

BESIDE = """
tcfp: "1.0"
flow: beside
agents:
  a: {in: {n: int}, out: {n: int}, effect: pure}
  b: {in: {n: int}, out: {n: int}, effect: effect, on_crash: fail}
in: {n: int}
out: {n: int}
do:
  - id: p
    par:
      x: {call: a, with: {n: =n}}
      y: {call: b, with: {n: =n}}
return: {n: =p.x.n + p.y.n}
"""


class HeldStore(MemoryStore):
    """Appends wait until they may go on; `appending` says that one does."""

    def __init__(self) -> None:
        super().__init__()
        self.appending, self.go_on = asyncio.Event(), asyncio.Event()

    @override
    async def append(self, *given: Any) -> None:
        self.appending.set()
        await self.go_on.wait()
        await super().append(*given)


async def test_what_is_answered_while_another_answer_is_written_is_recorded_by_who_drains() -> None:
    store = HeldStore()
    reached, gates = asyncio.Semaphore(0), {"a": asyncio.Event(), "b": asyncio.Event()}

    def once_open(name: str) -> Any:
        async def answer(call: Any) -> Any:
            reached.release()
            await gates[name].wait()
            return {"n": call.input["n"] + 1}

        return answer

    async with rig(BESIDE, store=store, a=once_open("a"), b=once_open("b")) as it:
        execution = await it.runtime.start(it.request())
        for _ in gates:
            await reached.acquire()
        draining = asyncio.create_task(it.driver.drain(5.0))
        await asyncio.sleep(0)
        gates["a"].set()
        await store.appending.wait()
        gates["b"].set()
        for _ in range(10):  # the answer has come, and waits behind the first
            await asyncio.sleep(0)
        store.go_on.set()
        await draining
    async with rig(BESIDE, store=store) as it:
        await it.runtime.recover()
        done = await it.runtime.wait(execution)
        assert (done.status, done.output) == ("completed", {"n": 4})
        assert [agent.calls for agent in it.agents] == [[], []]


async def test_a_call_that_is_made_again_ends_with_what_is_around_it() -> None:
    source = CHAIN.replace(
        "a: {in: {n: int}, out: {n: int}, effect: pure",
        "a: {in: {n: int}, out: {n: int}, effect: pure, time: 1h",
    )
    store = MemoryStore()
    async with rig(source, store=store, a=hang) as it:
        began = SystemClock().now()
        execution = await it.runtime.start(it.request(timeout=60_000_000))
        await asyncio.sleep(0.01)
        await it.driver.drain(0.01)
    async with rig(source, store=store) as it:
        await it.runtime.recover()
        assert (await it.runtime.wait(execution)).status == "completed"
        deadline = it.agents[0].calls[0].deadline
        assert deadline is not None
        assert began < deadline < began + 120_000_000
