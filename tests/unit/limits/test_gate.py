"""The gate: whose turn it is, who is refused, and what counts for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.clocks import Hand

from stratarouter_runtime.errors import ExceedsTier, QuotaExceeded
from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
from stratarouter_runtime.limits import gate as gates
from stratarouter_runtime.limits.gate import LINE, REMEMBERED, Gate
from stratarouter_runtime.limits.tiers import Tiers
from stratarouter_runtime.ports import Execution, Status
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.tenancy.quotas import Spent, Tier
from stratarouter_runtime.tenancy.windows import CONCURRENT, DAILY, REQUESTS

ANN = Tenant("ann")
BOB = Tenant("bob")


def gate(store: MemoryStore | None = None, **limits: int) -> Gate:
    """A gate in front of a store; every tenant is held to these limits."""
    kept, clock = store or MemoryStore(), Hand(1_000_000)
    return Gate(kept, Tiers(kept.shelf, clock, [Tier("narrow", **limits)], "narrow"), clock)


def name(number: int) -> ExecutionId:
    return ExecutionId(f"exec_{number:032x}")


def row(number: int, status: Status = "running", tenant: Tenant = ANN) -> Execution:
    return Execution(name(number), tenant, FlowId("f"), Digest("0" * 64), status, 0, 0, 1)


def refusal(policy: str = CONCURRENT) -> QuotaExceeded:
    return QuotaExceeded("no", policy=policy, retry_after=1, hint="")


class Room:
    """Lets as many begin as there is room for, and remembers who did, in order."""

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.begun: list[int] = []

    def begin(self, number: int) -> Callable[[], Awaitable[int]]:
        async def begin() -> int:
            if self.room == 0:
                raise refusal()
            self.room -= 1
            self.begun.append(number)
            return number

        return begin

    def free(self, gate: Gate, tenant: Tenant = ANN) -> None:
        """One has ended, and the gate hears of it."""
        self.room += 1
        gate.recorded(row(0, "completed", tenant), (), ())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_waits_begins_in_the_order_of_coming() -> None:
    held, room = gate(), Room()
    waiting = []
    for number in range(4):
        waiting.append(asyncio.create_task(held.through(name(number), ANN, None, room.begin(number))))
        await settle()
    assert held.stats().waiting == 4
    for number in range(4):
        room.free(held)
        assert await asyncio.wait_for(waiting[number], 5) == number
    assert room.begun == [0, 1, 2, 3]
    assert held.stats().waiting == 0


async def test_a_new_comer_does_not_pass_who_waits_already() -> None:
    held, room = gate(), Room()
    early = asyncio.create_task(held.through(name(1), ANN, None, room.begin(1)))
    await settle()
    room.room = 1  # one has ended, and nobody has heard of it yet
    late = asyncio.create_task(held.through(name(2), ANN, None, room.begin(2)))
    await settle()
    assert room.begun == []
    room.free(held)
    await asyncio.wait_for(asyncio.gather(early, late), 5)
    assert room.begun == [1, 2]


async def test_a_line_is_of_one_tenant() -> None:
    held, full, empty = gate(), Room(), Room(room=1)
    waiting = asyncio.create_task(held.through(name(1), ANN, None, full.begin(1)))
    await settle()
    assert await held.through(name(2), BOB, 0, empty.begin(2)) == 2
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert held.stats().waiting == 0


async def test_a_line_that_is_full_takes_nobody() -> None:
    held, room = gate(), Room()
    waiting = [
        asyncio.create_task(held.through(name(number), ANN, None, room.begin(number)))
        for number in range(LINE)
    ]
    await settle()
    with pytest.raises(QuotaExceeded, match=f"{LINE} executions of tenant 'ann' wait"):
        await held.through(name(LINE), ANN, None, room.begin(LINE))
    assert (held.stats().waiting, held.stats().refused) == (LINE, {CONCURRENT: 1})
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("patience", [0, 0.01])
async def test_patience_ends(patience: float) -> None:
    held, room = gate(), Room()
    with pytest.raises(QuotaExceeded):
        await held.through(name(1), ANN, patience, room.begin(1))
    assert (held.stats().waiting, held.stats().refused) == (0, {CONCURRENT: 1})


async def test_patience_ends_for_who_has_not_got_to_look_yet() -> None:
    held, room = gate(), Room()
    first = asyncio.create_task(held.through(name(1), ANN, None, room.begin(1)))
    await settle()
    with pytest.raises(QuotaExceeded, match="no execution of tenant 'ann' ended in time"):
        await held.through(name(2), ANN, 0.01, room.begin(2))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_only_ends_make_room_and_only_time_heals_a_day() -> None:
    held = gate()

    async def begin() -> None:
        raise refusal(DAILY)

    with pytest.raises(QuotaExceeded):
        await held.through(name(1), ANN, None, begin)
    assert held.stats().refused == {DAILY: 1}


async def test_an_end_in_another_process_is_found_by_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "LOOK", 0.001)
    held, room = gate(), Room()
    waiting = asyncio.create_task(held.through(name(1), ANN, None, room.begin(1)))
    await settle()
    room.room = 1
    assert await asyncio.wait_for(waiting, 5) == 1


async def test_how_long_it_waited_is_remembered_of_the_last_ones() -> None:
    held, room = gate(), Room()
    for number in range(REMEMBERED + 1):
        waiting = asyncio.create_task(held.through(name(number), ANN, None, room.begin(number)))
        await asyncio.sleep(0)
        room.free(held)
        await waiting
    assert held.waited(name(0)) == 0.0
    assert held.waited(name(1)) > 0.0
    assert held.waited(name(REMEMBERED)) > 0.0


async def test_what_another_execution_called_for_begins_without_counting() -> None:
    store = MemoryStore()
    held = gate(store, concurrent=1, daily=2)
    record = [Record(0, 0, b"{}", b"")]
    assert await held.create(row(1), record, NOBODY)
    with pytest.raises(QuotaExceeded):
        await held.create(row(2), record, NOBODY)
    with held.free(name(2)):
        assert await held.create(row(2), record, NOBODY)
    with pytest.raises(QuotaExceeded):
        await held.create(row(3), record, NOBODY)
    assert [await store.quotas.active(ANN), await store.quotas.started(ANN, 0)] == [1, 1]


async def test_one_request_too_many_is_refused() -> None:
    held = gate(requests=2)
    counted = [await held.request(ANN) for _ in range(3)]
    assert [spent.allowed for spent, _ in filter(None, counted)] == [True, True, False]
    spent, limit = counted[-1] or (Spent(allowed=True, left=0, wait=0), 0)
    with pytest.raises(QuotaExceeded):
        held.refuse(ANN, spent, limit)
    assert held.stats().refused == {REQUESTS: 1}
    assert await gate().request(ANN) is None


def test_a_plan_of_too_many_steps_is_refused() -> None:
    held = gate()
    held.check_plan(Tier("x", steps=5), 5)
    with pytest.raises(ExceedsTier):
        held.check_plan(Tier("x", steps=5), 6)
    assert held.stats().refused == {"steps": 1}
