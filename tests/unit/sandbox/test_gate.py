"""Who gets in, who waits, and who is told that there will be no room."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from stratarouter_runtime.sandbox.governor.gate import Governor, Refused, room_here
from stratarouter_runtime.sandbox.governor.shares import Room

ONE = Room(1_000, 10)


def governor() -> Governor:
    return Governor(Room(1_000, 100), most_waiting=2)


async def test_room_is_given_at_once_where_it_is_free() -> None:
    gate = governor()
    await gate.reserve("a", ONE, seconds=1, patience=0)
    assert gate.stats().cpu_used == 1.0
    gate.give_back(ONE)
    assert gate.stats().cpu_used == gate.stats().memory_used == 0


async def test_who_waits_is_let_in_when_room_comes_free() -> None:
    gate = governor()
    await gate.reserve("a", ONE, seconds=1, patience=0)
    waiting = asyncio.create_task(gate.reserve("b", ONE, seconds=1, patience=5))
    await asyncio.sleep(0)
    assert gate.stats().waiting == 1
    gate.give_back(ONE)
    await waiting
    assert gate.stats().waiting == 0
    assert gate.stats().granted == 2


@pytest.mark.parametrize(("room", "why"), [(Room(2_000, 1), "cpu"), (Room(1, 200), "memory")])
async def test_more_than_there_is_is_refused(room: Room, why: str) -> None:
    with pytest.raises(Refused) as refused:
        await governor().reserve("a", room, seconds=1, patience=5)
    assert refused.value.why == why


async def test_a_full_queue_refuses_and_patience_ends() -> None:
    gate = governor()
    await gate.reserve("a", ONE, seconds=1, patience=0)
    late = [asyncio.create_task(gate.reserve("b", ONE, seconds=1, patience=0.02)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as full:
        await gate.reserve("b", ONE, seconds=1, patience=1)
    assert full.value.why == "queue"
    ended = await asyncio.gather(*late, return_exceptions=True)
    assert [getattr(each, "why", None) for each in ended] == ["late", "late"]
    assert (gate.stats().waiting, gate.stats().refused, gate.stats().timed_out) == (0, 1, 2)


async def test_who_fills_the_queue_makes_way() -> None:
    gate = governor()
    await gate.reserve("a", ONE, seconds=1, patience=0)
    flood = [asyncio.create_task(gate.reserve("a", ONE, seconds=1, patience=5)) for _ in range(2)]
    await asyncio.sleep(0)
    other = asyncio.create_task(gate.reserve("b", ONE, seconds=1, patience=5))
    with pytest.raises(Refused, match="wait already"):
        await flood[1]
    for _ in range(3):
        gate.give_back(ONE)
        await asyncio.sleep(0)
    await asyncio.gather(flood[0], other)
    assert (gate.stats().cpu_used, gate.stats().waiting, gate.stats().refused) == (0, 0, 1)


@pytest.mark.parametrize("granted_first", [False, True])
async def test_who_gives_up_leaves_nothing_reserved(granted_first: bool) -> None:  # noqa: FBT001 - both orders
    gate = governor()
    await gate.reserve("a", ONE, seconds=1, patience=0)
    waiting = asyncio.create_task(gate.reserve("b", ONE, seconds=1, patience=5))
    await asyncio.sleep(0)
    if granted_first:
        gate.give_back(ONE)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    if not granted_first:
        gate.give_back(ONE)
    assert gate.stats().cpu_used == 0
    await gate.reserve("c", ONE, seconds=1, patience=0)


async def test_memory_that_is_held_idle_is_asked_for_and_waited_for() -> None:
    asked: list[int] = []
    gate = Governor(Room(2_000, 100), reclaim=asked.append)
    await gate.reserve("a", Room(0, 90), seconds=1, patience=0)
    waiting = asyncio.create_task(gate.reserve("b", Room(1_000, 30), seconds=1, patience=10))
    await asyncio.sleep(0)
    assert (asked, waiting.done()) == ([20], False), "it is not free before it is given back"
    gate.give_back(Room(0, 20))
    await waiting
    assert gate.stats().memory_used == 100


@pytest.mark.parametrize(
    ("available", "memory"),
    [(0, 0), (2**30, 3 * 2**28), (4 * 2**30, 3 * 2**30), (10 * 2**30, 9 * 2**30), (2**40, 24 * 2**30)],
)
def test_what_can_be_reserved_leaves_some_free(available: int, memory: int) -> None:
    room = room_here(available)
    assert 0 < room.cpu <= 4_000
    assert room.memory == memory


def test_a_process_keeps_to_its_processors() -> None:
    program = (
        "import os; from stratarouter_runtime.sandbox.governor.affinity import bind_cpus; "
        "bind_cpus(1); print(len(os.sched_getaffinity(0)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert done.stdout == "1\n"
