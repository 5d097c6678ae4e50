from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.clocks import Hand
from typing_extensions import override

from stratarouter_runtime.batch.grouping import GroupingStats, Groups
from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import AgentCall, AgentReply, Grouped
from stratarouter_runtime.tcfp.ir import Batch


class Doubling(Grouped):
    """Doubles numbers, several at once; waits first until it may."""

    name = AgentName("double")

    def __init__(self, batch: Batch, *, free: bool = True) -> None:
        self.batch = batch
        self.made: list[list[int]] = []
        self.free = asyncio.Event()
        self.begun = asyncio.Event()
        self.interrupted = 0
        if free:
            self.free.set()

    @override
    async def call_together(self, calls: Sequence[AgentCall]) -> Sequence[AgentReply]:
        self.made.append([call.input for call in calls])
        self.begun.set()
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.interrupted += 1
            raise
        return [AgentReply(2 * call.input) for call in calls]


class Broken(Doubling):
    """Breaks what it promises."""

    @override
    async def call_together(self, calls: Sequence[AgentCall]) -> Sequence[AgentReply]:
        return [AgentReply(1)]


def call_of(number: int, tenant: Tenant = LOCAL, deadline: int | None = None) -> AgentCall:
    return AgentCall(
        ExecutionId(f"exec_{number}"), tenant, Digest("k" * 64), "seed", 1, number, deadline=deadline
    )


async def outputs(groups: Groups, agent: Grouped, *calls: AgentCall) -> list[object]:
    replies = await asyncio.gather(*(groups.call(agent, call) for call in calls))
    return [reply.output if reply.failure is None else reply.failure.kind for reply in replies]


async def test_calls_that_come_together_are_one_up_to_the_most_and_in_order() -> None:
    groups, agent = Groups(Hand()), Doubling(Batch(4, 200_000))
    assert await outputs(groups, agent, *map(call_of, range(10))) == [2 * number for number in range(10)]
    assert agent.made == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert groups.stats() == GroupingStats(groups=3, calls=10, waiting=0)


async def test_a_full_group_waits_for_nothing() -> None:
    groups, agent = Groups(Hand()), Doubling(Batch(2, 3_600_000_000))
    assert await outputs(groups, agent, call_of(1), call_of(2)) == [2, 4]


async def test_tenants_and_agents_never_share_a_call() -> None:
    pair = Batch(2, 3_600_000_000)  # full with two of the same tenant, and closed by nothing else
    groups, agent, twin = Groups(Hand()), Doubling(pair), Doubling(pair)
    calls = [call_of(number, Tenant(f"t{number % 2}")) for number in range(4)]
    mine, other = await asyncio.gather(outputs(groups, agent, *calls), outputs(groups, twin, *calls))
    assert mine == other == [0, 2, 4, 6]
    assert agent.made == twin.made == [[0, 2], [1, 3]]


async def test_who_leaves_while_waiting_takes_only_his_own_input_along() -> None:
    groups, agent = Groups(Hand()), Doubling(Batch(3, 3_600_000_000))
    tasks = [asyncio.create_task(groups.call(agent, call_of(number))) for number in range(2)]
    await asyncio.sleep(0)
    assert groups.stats().waiting == 2
    tasks[1].cancel()
    await asyncio.sleep(0)
    assert await outputs(groups, agent, call_of(2), call_of(3)) == [4, 6]
    assert (await tasks[0]).output == 0
    assert agent.made == [[0, 2, 3]]


async def test_a_group_that_all_have_left_is_never_made() -> None:
    groups, agent = Groups(Hand()), Doubling(Batch(9, 1_000))
    task = asyncio.create_task(groups.call(agent, call_of(1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.01)
    assert (agent.made, groups.stats().waiting) == ([], 0)


async def test_a_call_under_way_goes_on_for_those_who_stay_and_ends_with_the_last() -> None:
    groups, agent = Groups(Hand()), Doubling(Batch(2, 60_000_000), free=False)
    tasks = [asyncio.create_task(groups.call(agent, call_of(number))) for number in range(2)]
    await agent.begun.wait()
    tasks[0].cancel()
    await asyncio.sleep(0)
    assert agent.interrupted == 0
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
    assert agent.interrupted == 1


async def test_each_keeps_its_own_deadline() -> None:
    groups, agent = Groups(Hand()), Doubling(Batch(2, 60_000_000), free=False)
    short, long = (
        asyncio.create_task(groups.call(agent, call_of(1, deadline=20_000))),
        asyncio.create_task(groups.call(agent, call_of(2))),
    )
    late = await short
    assert late.failure is not None
    assert late.failure.kind == "timeout"
    agent.free.set()
    assert (await long).output == 4
    assert agent.interrupted == 0


async def test_an_agent_that_breaks_its_promise_is_told_to_each() -> None:
    groups = Groups(Hand())
    calls = (groups.call(Broken(Batch(2, 0)), call_of(number)) for number in range(1))
    assert [reply.output for reply in await asyncio.gather(*calls)] == [1]
    agent = Broken(Batch(2, 1_000))
    told = await asyncio.gather(
        *(groups.call(agent, call_of(number)) for number in range(2)), return_exceptions=True
    )
    assert any(isinstance(each, ValueError) for each in told)
    assert all(isinstance(each, ValueError | AgentReply) for each in told)


async def test_who_waits_for_a_call_that_is_interrupted_is_not_left_waiting() -> None:
    groups, agent = Groups(Hand()), Doubling(Batch(1, 0), free=False)
    waiting = asyncio.create_task(groups.call(agent, call_of(1)))
    await agent.begun.wait()
    (group,) = (task for task in asyncio.all_tasks() if task.get_name() == "group")
    group.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
