"""Batches are taken item by item, worked off in order, and survive a restart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.services.test_reuse import FLOW, Rig

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.cache.policy import NO_WISHES, Defaults, Wishes
from stratarouter_runtime.errors import Interrupted, InvalidState, NotFound, StoreUnavailable
from stratarouter_runtime.ids import ExecutionId, FlowId, Tenant
from stratarouter_runtime.limits.gate import Gate
from stratarouter_runtime.limits.tiers import Tiers
from stratarouter_runtime.observability.fanout import Fanout
from stratarouter_runtime.ports import AgentCall, Execution
from stratarouter_runtime.runtime import Runtime
from stratarouter_runtime.services import batches
from stratarouter_runtime.services.items import Job, Refused, Wanted, decode
from stratarouter_runtime.services.upkeep import LOOK, PERIOD
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemEntropy
from stratarouter_runtime.tenancy.quotas import Tier

ANN = Tenant("ann")


def items(rig: Rig, *questions: str) -> list[Wanted | Refused]:
    """One item a question."""
    return [Wanted(FlowId("t"), rig.plan.digest, {"q": question, "n": 1}) for question in questions]


async def submit(rig: Rig, wanted: list[Wanted | Refused], wishes: Wishes = NO_WISHES) -> None:
    """As batch `b` of Ann's."""
    await rig.runtime.flows.offer(rig.plan)
    await rig.runtime.batches.submit(ANN, "b", wanted, wishes=wishes)


async def test_results_keep_their_order_and_equal_items_are_executed_once() -> None:
    """However fast each of them is."""
    rig = Rig()
    await submit(rig, items(rig, "b", "a", "b", "c", "a"))
    progress = await rig.runtime.batches.wait(ANN, "b")
    assert progress.ended
    assert [each.row.output["s"] for each in progress.outcomes if each.row] == [
        "b 1",
        "a 1",
        "b 1",
        "c 1",
        "a 1",
    ]
    assert [each.shared for each in progress.outcomes] == [False, False, True, False, True]
    assert len(rig.agent.calls) == 3


async def test_who_wants_nothing_reused_has_every_item_executed() -> None:
    """Equal ones too."""
    rig = Rig()
    await submit(rig, items(rig, "a", "a"), Wishes(read=False, keep=False))
    await rig.runtime.batches.wait(ANN, "b")
    assert len(rig.agent.calls) == 2


async def test_work_with_effects_is_never_shared() -> None:
    """Each item is somebody's order."""
    source = FLOW.replace("effect: pure, cache: never", "effect: effect").replace(
        "cache: semantic\nsemantic: [q]\n", ""
    )
    rig = Rig(source)
    await submit(rig, items(rig, "a", "a"))
    await rig.runtime.batches.wait(ANN, "b")
    assert len(rig.agent.calls) == 2


async def test_items_are_refused_each_by_itself() -> None:
    """With the reason."""
    rig = Rig()
    wrong: Any = Wanted(FlowId("t"), rig.plan.digest, {"q": 1, "n": 1})
    await submit(rig, [*items(rig, "a"), wrong, Refused("not-found", "no such flow")])
    progress = await rig.runtime.batches.wait(ANN, "b")
    assert [each.state for each in progress.outcomes] == ["completed", "refused", "refused"]
    codes = [None if each.refused is None else each.refused.code for each in progress.outcomes]
    assert codes == [None, "invalid-input", "not-found"]


async def test_an_item_that_fails_is_told_as_that() -> None:
    """The others go on."""
    rig = Rig(say=lambda call: Failure("agent.refused") if call.input["q"] == "b" else {"s": "x"})
    await submit(rig, items(rig, "a", "b", "c"))
    progress = await rig.runtime.batches.wait(ANN, "b")
    assert [each.state for each in progress.outcomes] == ["completed", "failed", "completed"]


async def test_a_batch_goes_on_after_a_restart() -> None:
    """Nothing is executed twice, and what it came to is found by the next process too."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        if call.input["q"] == "slow":
            await gate.wait()
        return {"s": call.input["q"]}

    rig = Rig(say=say)
    await submit(rig, items(rig, "fast", "slow", "fast"))
    for _ in range(500):
        if (await rig.runtime.batches.progress(ANN, "b")).outcomes[0].state == "completed":
            break
        await asyncio.sleep(0.01)
    await rig.runtime.batches.close()
    await rig.runtime.driver.drain(0)
    later = rig.again()
    gate.set()
    await later.runtime.recover()
    progress = await later.runtime.batches.wait(ANN, "b")
    assert [each.row.output["s"] for each in progress.outcomes if each.row] == ["fast", "slow", "fast"]
    assert [call.input["q"] for call in later.agent.calls] == ["slow"]
    last = await later.again().runtime.batches.progress(ANN, "b")
    assert last.ended
    assert [each.state for each in last.outcomes] == ["completed"] * 3


async def test_a_batch_can_be_cancelled() -> None:
    """What waits never begins, what is under way ends; and it can be done once."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        await gate.wait()
        return {"s": "x"}

    rig = Rig(say=say)
    await submit(rig, items(rig, *(f"q{number}" for number in range(30))))
    for _ in range(500):
        if len(rig.agent.calls) == 16:
            break
        await asyncio.sleep(0.01)
    await rig.runtime.batches.cancel(ANN, "b")
    progress = await rig.runtime.batches.wait(ANN, "b")
    assert {each.state for each in progress.outcomes} == {"cancelled"}
    assert len(rig.agent.calls) == 16
    with pytest.raises(InvalidState):
        await rig.runtime.batches.cancel(ANN, "b")


async def test_a_batch_is_known_to_its_tenant_only() -> None:
    """To others it is not there."""
    rig = Rig()
    await submit(rig, items(rig, "a"))
    await rig.runtime.batches.wait(ANN, "b")
    with pytest.raises(NotFound):
        await rig.runtime.batches.progress(Tenant("bob"), "b")


async def test_a_queue_that_is_full_refuses() -> None:
    """Item by item, and only those of its workflow."""
    rig = Rig()
    rig.runtime.batches._queues._waiting = 2
    await submit(rig, items(rig, "a", "b", "c"))
    progress = await rig.runtime.batches.wait(ANN, "b")
    assert [each.state for each in progress.outcomes] == ["completed", "completed", "refused"]


ASKING = """
tcfp: "1.0"
flow: t
agents:
  a: {in: {q: string, n: int}, out: {s: string}, effect: pure, cache: never}
in: {q: string, n: int}
out: {s: string}
do:
  - {id: r, call: a, with: {q: =q, n: =n}}
  - {id: said, ask: string, from: boss, show: =r.s, time: 1h}
return: {s: =said}
"""


async def test_an_item_that_asks_waits_for_an_answer_of_its_own() -> None:
    """It holds up nobody, and an equal item is another question."""
    rig = Rig(ASKING)
    await submit(rig, items(rig, *["same"] * 20))
    progress = await rig.runtime.batches.wait(ANN, "b")
    assert not progress.ended
    assert [each.state for each in progress.outcomes] == ["waiting"] * 20
    executions = [each.execution for each in progress.outcomes if each.execution is not None]
    assert len(set(executions)) == 20
    for number, execution in enumerate(executions[:19]):
        await rig.runtime.controls.answer(execution, "1", f"yes {number}", by="boss")
        await rig.runtime.wait(execution)
    later = await rig.runtime.batches.progress(ANN, "b")
    assert [each.row.output for each in later.outcomes[:19] if each.row] == [
        {"s": f"yes {number}"} for number in range(19)
    ]
    assert later.outcomes[19].state == "waiting"


@pytest.mark.parametrize(
    ("source", "defaults", "calls"),
    [
        (FLOW, Defaults(), 1),
        (FLOW, Defaults(enabled=False), 2),
        (FLOW.replace("cache: semantic\nsemantic: [q]\n", "cache: never\n"), Defaults(), 2),
        (FLOW.replace("cache: semantic\nsemantic: [q]\n", "cache: run\n"), Defaults(), 2),
    ],
)
async def test_equal_items_share_an_execution_where_equal_requests_would(
    source: str, defaults: Defaults, calls: int
) -> None:
    """Neither where its author said never, nor where reuse is off."""
    rig = Rig(source, defaults=defaults)
    await submit(rig, items(rig, "a", "a"))
    progress = await rig.runtime.batches.wait(ANN, "b")
    assert [each.state for each in progress.outcomes] == ["completed"] * 2
    assert len(rig.agent.calls) == calls


async def test_a_store_that_fails_when_a_batch_ends_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever, and the batch ends in the store too."""
    monkeypatch.setattr(batches, "FIRST", 0.001)
    rig = Rig()
    await submit(rig, items(rig, "a", "b"))
    real, failures = rig.store.shelf.put, 3

    async def put(*place: Any, **more: Any) -> int:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise StoreUnavailable("away")
        return await real(*place, **more)

    monkeypatch.setattr(rig.store.shelf, "put", put)
    assert (await rig.runtime.batches.wait(ANN, "b")).ended
    assert failures < 0
    monkeypatch.undo()
    later = rig.again()
    assert await later.runtime.batches.resume() == 0


@pytest.mark.parametrize("error", [Interrupted("given up"), RuntimeError("a defect")])
async def test_an_item_that_breaks_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """One whose work was given up is tried again; a defect is told as a failure."""
    monkeypatch.setattr(batches, "FIRST", 0.001)
    rig = Rig()
    real, broken = rig.runtime.batches._execute, [error]

    async def execute(job: Job) -> tuple[Execution, bool]:
        if broken and job.item.input["q"] == "a":
            raise broken.pop()
        return await real(job)

    rig.runtime.batches._execute = execute
    await submit(rig, items(rig, "a", "b"))
    progress = await rig.runtime.batches.wait(ANN, "b")
    first = "completed" if isinstance(error, Interrupted) else "failed"
    assert [each.state for each in progress.outcomes] == [first, "completed"]


class Two:
    """Two processes that share a store, each looking after itself."""

    def __init__(self, say: Any) -> None:
        store = MemoryStore(30.0, lambda: asyncio.get_running_loop().time())
        self.one = Rig(say=say, store=store)
        self.other = self.one.again()
        self.upkeep = [
            asyncio.create_task(rig.runtime.upkeep(claiming=True).run()) for rig in (self.one, self.other)
        ]

    async def stop_one(self) -> None:
        """Its lease is free for others at once."""
        self.upkeep[0].cancel()
        await self.one.runtime.batches.close()
        await self.one.runtime.driver.drain(0)

    async def close(self) -> None:
        """Both."""
        for task in self.upkeep:
            task.cancel()
        await self.other.runtime.batches.close()


async def test_a_batch_that_another_process_works_off_can_be_cancelled() -> None:
    """What is under way ends, nothing more begins, and it stays cancelled."""
    begun = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        begun.set()
        await asyncio.Event().wait()
        return {"s": "x"}

    two = Two(say)
    await submit(two.one, items(two.one, *(f"q{number}" for number in range(40))))
    await begun.wait()
    two.one.clock.pass_(2)
    progress = await two.other.runtime.batches.cancel(ANN, "b")
    assert progress.cancelled
    for rig in (two.one, two.other):
        progress = await rig.runtime.batches.wait(ANN, "b")
        assert ({each.state for each in progress.outcomes}, progress.cancelled) == ({"cancelled"}, True)
    assert len(two.one.agent.calls) == 16
    document = await two.one.store.shelf.get(ANN, "batch", "b")
    assert document is not None
    assert decode(document.body).cancelled
    await two.close()


async def test_a_batch_is_gone_on_with_by_another_process_when_its_own_ends() -> None:
    """And by no other as long as that one lives."""
    gate, begun = asyncio.Event(), asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        begun.set()
        await gate.wait()
        return {"s": call.input["q"]}

    two = Two(say)
    await submit(two.one, items(two.one, *(f"q{number}" for number in range(20))))
    await begun.wait()
    assert await two.other.runtime.batches.resume() == 0
    await two.stop_one()
    gate.set()
    progress = await two.other.runtime.batches.wait(ANN, "b")
    assert [each.row.output["s"] for each in progress.outcomes if each.row] == [f"q{n}" for n in range(20)]
    await two.close()


async def test_what_a_batch_that_has_ended_came_to_is_looked_up_once() -> None:
    """By a process that did not work it off."""
    rig = Rig()
    await submit(rig, items(rig, "a", "b", "a"))
    await rig.runtime.batches.wait(ANN, "b")
    later, found = rig.again(), []
    real = later.runtime.batches._filing._find

    async def find(execution: ExecutionId) -> Execution | None:
        found.append(execution)
        return await real(execution)

    later.runtime.batches._filing._find = find
    for _ in range(3):
        progress = await later.runtime.batches.progress(ANN, "b")
        assert [(each.state, each.shared) for each in progress.outcomes] == [
            ("completed", False),
            ("completed", False),
            ("completed", True),
        ]
    assert len(found) == 2


async def test_a_process_that_stops_fails_no_item_that_it_has_not_begun() -> None:
    """The next one goes on with them."""
    gate = asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        await gate.wait()
        return {"s": call.input["q"]}

    rig = Rig(say=say)
    await submit(rig, items(rig, *(f"q{number}" for number in range(20))))
    while len(rig.agent.calls) < 16:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)
    draining = asyncio.create_task(rig.runtime.driver.drain(5))
    await asyncio.sleep(0)
    gate.set()
    await draining
    await asyncio.sleep(0.1)
    await rig.runtime.batches.close()
    later = rig.again()
    await later.runtime.recover()
    async with asyncio.timeout(30):
        progress = await later.runtime.batches.wait(ANN, "b")
    assert [each.state for each in progress.outcomes] == ["completed"] * 20


async def test_a_batch_whose_process_stops_between_items_is_gone_on_with_by_another() -> None:
    """No execution tells that process of it."""
    gate, begun = asyncio.Event(), asyncio.Event()

    async def say(call: AgentCall) -> dict[str, str]:
        begun.set()
        await gate.wait()
        return {"s": call.input["q"]}

    two = Two(say)
    await submit(two.one, items(two.one, *(f"q{number}" for number in range(20))))
    await begun.wait()
    await asyncio.sleep(2 * LOOK * PERIOD)
    two.upkeep[0].cancel()
    draining = asyncio.create_task(two.one.runtime.driver.drain(5))
    await asyncio.sleep(0)
    gate.set()
    await draining
    await two.one.runtime.batches.close()
    assert await two.one.store.unfinished() == []
    async with asyncio.timeout(5):
        progress = await two.other.runtime.batches.wait(ANN, "b")
    assert [each.state for each in progress.outcomes] == ["completed"] * 20
    await two.close()


async def test_what_was_taken_once_is_never_refused_for_want_of_room() -> None:
    """However much waits already in the process that goes on with it."""
    rig = Rig()
    await rig.runtime.batches.close()  # works nothing off
    rig.runtime.batches._queues.put = lambda *_: None  # type: ignore[method-assign]
    await submit(rig, items(rig, "a", "b", "c"))
    later = rig.again()
    later.runtime.batches._queues._waiting = 1
    await rig.runtime.driver.drain(0)
    await later.runtime.recover()
    progress = await later.runtime.batches.wait(ANN, "b")
    assert [each.state for each in progress.outcomes] == ["completed"] * 3


def limited(rig: Rig, tier: Tier) -> Rig:
    """The same, with all tenants held to a tier, and nothing reused."""
    tiers = Tiers(rig.store.shelf, rig.clock, [tier], tier.name)
    rig.runtime = Runtime(
        store=rig.store,
        registry=Registry([rig.agent]),
        scorer=None,  # type: ignore[arg-type]  # nothing here routes
        observers=Fanout(),
        clock=rig.clock,
        entropy=SystemEntropy(),
        gate=Gate(rig.store, tiers, rig.clock),
    )
    return rig


async def forever(_: AgentCall) -> None:
    """Answers never."""
    await asyncio.Event().wait()


async def test_what_a_limit_of_the_day_refuses_waits_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is taken as a whole, however many executions its tenant may begin today."""
    monkeypatch.setattr(batches, "FIRST", 0.001)
    monkeypatch.setattr(batches, "LONGEST", 0.01)
    rig = Rig()
    limited(rig, Tier("few", daily=2))
    await submit(rig, items(rig, "a", "b", "c"))
    while len(rig.agent.calls) < 2:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    progress = await rig.runtime.batches.progress(ANN, "b")
    assert [each.state for each in progress.outcomes] == ["completed", "completed", "running"]
    rig.clock.pass_(86_400)
    progress = await rig.runtime.batches.wait(ANN, "b")
    assert [each.state for each in progress.outcomes] == ["completed"] * 3


async def test_a_cancelled_batch_begins_none_of_its_items_that_wait_for_their_turn() -> None:
    """A limit lets two be under way: that these end makes room for nobody."""
    rig = limited(Rig(say=forever), Tier("few", concurrent=2))
    await submit(rig, items(rig, "a", "b", "c", "d"))
    while len(rig.agent.calls) < 2:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    await rig.runtime.batches.cancel(ANN, "b")
    async with asyncio.timeout(5):
        progress = await rig.runtime.batches.wait(ANN, "b")
    assert {each.state for each in progress.outcomes} == {"cancelled"}
    assert len(rig.agent.calls) == 2
    assert len(await rig.store.search()) == 2
