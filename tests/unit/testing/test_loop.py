"""The loop of the simulation: its time, its order, its ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import closing
from random import Random  # noqa: TID251 - seeded
from typing import Any

import pytest

from stratarouter_runtime.testing.loop import Deadlock, Endless, Life, SimulatedLoop


def run(main: Coroutine[Any, Any, Any], seed: int = 0, steps: int = 1_000) -> tuple[Any, SimulatedLoop]:
    with closing(SimulatedLoop(Random(seed), steps)) as loop:  # noqa: S311 - a simulation
        return loop.run(main), loop


async def order() -> list[int]:
    seen: list[int] = []

    async def note(number: int) -> None:
        seen.append(number)

    await asyncio.gather(*(note(number) for number in range(6)))
    return seen


def test_the_order_is_that_of_the_seed() -> None:
    orders = [run(order(), seed)[0] for seed in range(10)]
    assert orders == [run(order(), seed)[0] for seed in range(10)]
    assert all(sorted(each) == list(range(6)) for each in orders)
    assert len({tuple(each) for each in orders}) > 5


async def nap() -> float:
    async with asyncio.timeout(100):
        await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(1))
    return 0.0


def test_time_passes_when_nothing_else_is_left_to_do() -> None:
    _, loop = run(asyncio.sleep(3600))
    assert loop.elapsed == 3_600_000_000
    with pytest.raises(TimeoutError):
        run(nap())


async def wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def test_a_deadlock_says_who_waits() -> None:
    with pytest.raises(Deadlock, match=r"waiting: wait_for_ever:\d+"):
        run(wait_for_ever())


async def spin() -> None:
    while True:  # noqa: ASYNC110 - it is to have no end
        await asyncio.sleep(0)


def test_what_goes_on_for_ever_is_stopped() -> None:
    with pytest.raises(Endless, match="spin"):
        run(spin())


async def kill_one() -> list[str]:
    life, seen = Life(), []

    async def work() -> None:
        try:
            seen.append("begins")
            await asyncio.sleep(1)
        finally:
            seen.append("ends")

    task = asyncio.get_running_loop().create_task(work(), context=life.context.copy())
    await asyncio.sleep(0.5)
    life.ended = True
    await asyncio.sleep(10)
    assert not task.done()
    return list(seen)


def test_no_line_runs_after_the_end_of_a_life() -> None:
    seen, loop = run(kill_one())
    assert seen == ["begins"]
    assert loop.elapsed == 10_500_000


async def break_a_callback() -> None:
    asyncio.get_running_loop().call_soon(lambda: 1 // 0)
    await asyncio.sleep(1)


async def break_a_task() -> None:
    task = asyncio.create_task(asyncio.wait_for(wait_for_ever(), 1))
    await asyncio.wait([task])


def test_what_callbacks_and_tasks_raise_is_kept() -> None:
    assert "ZeroDivisionError" in run(break_a_callback())[1].mishaps[0]
    assert [type(error) for error in run(break_a_task())[1].failures()] == [TimeoutError]
