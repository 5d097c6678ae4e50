"""Equal work in flight is done once; every bug of others that is listed is planted here as a story."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from stratarouter_runtime.batch.coalescer import Coalescer, Shared
from stratarouter_runtime.errors import Interrupted

T = TypeVar("T")


class Work:
    """Work that ends when told, and counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = asyncio.Event()
        self.cancelled: list[tuple[object, ...]] = []

    async def __call__(self) -> list[int]:
        self.begun += 1
        number = self.begun
        try:
            await self.ended.wait()
        except asyncio.CancelledError as error:
            self.cancelled.append(error.args)
            raise
        return [number]


async def soon(condition: Callable[[], bool]) -> None:
    """Returns once it holds, within the turns that anything here takes."""
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


def begin(shared: Coroutine[Any, Any, Shared[T]]) -> asyncio.Task[Shared[T]]:
    """Wait for it in a task."""
    return asyncio.create_task(shared)


def own(answer: list[int]) -> list[int]:
    """A copy."""
    return [*answer]


async def test_a_thousand_equal_callers_make_one_flight() -> None:
    """One of them led, and everybody has the answer."""
    flights, work = Coalescer(), Work()
    callers = [begin(flights.share("k", work)) for _ in range(1_000)]
    await soon(lambda: work.begun == 1)
    work.ended.set()
    shared = await asyncio.gather(*callers)
    assert work.begun == 1
    assert sum(each.led for each in shared) == 1
    assert {each.value[0] for each in shared} == {1}
    assert len(flights) == 0


async def test_followers_get_copies_of_their_own() -> None:
    """What one does to its answer, no other sees."""
    flights, work = Coalescer(), Work()
    callers = [begin(flights.share("k", work, copy=own)) for _ in range(3)]
    await asyncio.sleep(0)
    work.ended.set()
    shared = await asyncio.gather(*callers)
    shared[1].value.append(9)
    assert [each.value for each in shared] == [[1], [1, 9], [1]]


async def test_other_keys_are_other_flights() -> None:
    """Nothing is shared between them."""
    flights, work = Coalescer(), Work()
    callers = [begin(flights.share(key, work)) for key in "ab"]
    await soon(lambda: work.begun == 2)
    work.ended.set()
    assert all(each.led for each in await asyncio.gather(*callers))


async def test_a_leader_that_leaves_stops_nobody() -> None:
    """The work is not the leader's: it goes on for those who wait."""
    flights, work = Coalescer(), Work()
    leader, follower = begin(flights.share("k", work)), begin(flights.share("k", work))
    await soon(lambda: work.begun == 1)
    leader.cancel()
    await asyncio.gather(leader, return_exceptions=True)
    work.ended.set()
    assert (await follower).value == [1]
    assert work.begun == 1


async def test_the_last_to_leave_gives_the_work_up_and_says_why() -> None:
    """It is unlisted first, so that whoever comes meanwhile begins anew."""
    flights, work = Coalescer(), Work()
    callers = [begin(flights.share("k", work)) for _ in range(2)]
    await soon(lambda: work.begun == 1)
    for caller in callers:
        caller.cancel("withdrawn")
    await asyncio.gather(*callers, return_exceptions=True)
    assert len(flights) == 0
    late = begin(flights.share("k", work))
    await soon(lambda: work.begun == 2)
    assert work.cancelled == [("withdrawn",)]
    work.ended.set()
    assert (await late).value == [2]


async def test_a_finishing_flight_does_not_delete_its_successor() -> None:
    """It compares who is listed before it takes anything away."""
    flights = Coalescer(waiters=1)
    first, second = Work(), Work()
    one = begin(flights.share("k", first))
    await soon(lambda: first.begun == 1)
    other = begin(flights.share("k", second))  # the first is full: this one leads its successor
    await soon(lambda: second.begun == 1)
    first.ended.set()
    await one
    assert len(flights) == 1
    second.ended.set()
    assert (await other).led


async def test_the_first_callers_deadline_does_not_end_the_others() -> None:
    """The work has the time of the longest."""
    flights, work = Coalescer(), Work()
    now = asyncio.get_running_loop().time()
    short = begin(flights.share("k", work, until=now + 0.01))
    long = begin(flights.share("k", work, until=now + 60))
    await asyncio.sleep(0.05)
    assert not short.done()  # who has run out of time leaves by itself; the work goes on
    work.ended.set()
    assert (await long).value == [1]
    await short


async def test_work_ends_with_the_longest_of_its_waiters_times() -> None:
    """And says that it was time, not that somebody died."""
    flights, work = Coalescer(), Work()
    now = asyncio.get_running_loop().time()
    callers = [begin(flights.share("k", work, until=now + wait)) for wait in (0.01, 0.02)]
    for told in await asyncio.gather(*callers, return_exceptions=True):
        assert isinstance(told, TimeoutError)
    assert work.begun == 1


async def test_an_error_is_told_to_who_waits_and_not_kept() -> None:
    """The next caller tries again."""
    flights = Coalescer()
    tries: list[int] = []

    async def failing() -> int:
        tries.append(1)
        await asyncio.sleep(0)
        if len(tries) == 1:
            raise ValueError("for the moment")
        return 7

    callers = [begin(flights.share("k", failing)) for _ in range(3)]
    told = await asyncio.gather(*callers, return_exceptions=True)
    assert [str(error) for error in told] == ["for the moment"] * 3
    assert (await flights.share("k", failing)).value == 7


async def test_a_dead_leader_is_followed_by_one_of_the_waiters() -> None:
    """One, not all of them: nobody stampedes."""
    flights = Coalescer()
    begun: list[int] = []

    async def dying() -> int:
        begun.append(len(begun))
        await asyncio.sleep(0)
        if len(begun) == 1:
            raise asyncio.CancelledError  # its own task was taken from under it
        return 5

    callers = [begin(flights.share("k", dying)) for _ in range(50)]
    shared = await asyncio.gather(*callers)
    assert begun == [0, 1]
    assert {each.value for each in shared} == {5}
    assert sum(each.led for each in shared) == 1


async def test_elections_end() -> None:
    """Work that dies every time is told as that."""
    flights = Coalescer(elections=2)
    begun: list[int] = []

    async def dying() -> int:
        begun.append(1)
        raise asyncio.CancelledError

    with pytest.raises(Interrupted) as lost:
        await flights.share("k", dying)
    assert lost.value.retryable
    assert len(begun) == 3
    assert len(flights) == 0


async def test_who_attends_what_has_begun_is_capped_until_it_ends() -> None:
    """Though each has the handle at once."""
    flights, ended = Coalescer(waiters=2), asyncio.Event()
    begun: list[int] = []

    async def start() -> int:
        begun.append(1)
        return len(begun)

    async def end(_: int) -> None:
        await ended.wait()

    handles = [(await flights.attend("k", start, end)).value for _ in range(5)]
    assert handles == [1, 1, 2, 2, 3]
    ended.set()
    await soon(lambda: not len(flights))


async def test_waiters_of_a_flight_are_capped() -> None:
    """Those beyond share the next one: many callers never make as many flights."""
    flights, work = Coalescer(waiters=10), Work()
    callers = [begin(flights.share("k", work)) for _ in range(30)]
    await soon(lambda: work.begun == 3)
    work.ended.set()
    await asyncio.gather(*callers)
    assert work.begun == 3


# Work that goes on by itself once it has begun.


async def test_what_has_begun_is_attended_until_it_ends() -> None:
    """Everybody gets the handle at once; after the end somebody begins anew."""
    flights, ending = Coalescer(), asyncio.Event()
    begun: list[int] = []

    async def start() -> int:
        begun.append(1)
        return len(begun)

    async def end(_: int) -> None:
        await ending.wait()

    first = await flights.attend("k", start, end)
    second = await flights.attend("k", start, end)
    assert (first.value, first.led, second.value, second.led) == (1, True, 1, False)
    ending.set()
    await soon(lambda: len(flights) == 0)
    assert (await flights.attend("k", start, end)).value == 2


async def test_who_has_more_time_than_what_is_under_way_begins_anew() -> None:
    """And what was under way takes nothing away when it ends."""
    flights, ending = Coalescer(), asyncio.Event()
    begun: list[int] = []

    async def start() -> int:
        begun.append(1)
        return len(begun)

    async def end(handle: int) -> None:
        if handle == 1:
            await ending.wait()
        else:
            await asyncio.Event().wait()

    assert (await flights.attend("k", start, end, until=10.0)).value == 1
    assert (await flights.attend("k", start, end, until=9.0)).value == 1
    assert (await flights.attend("k", start, end, until=11.0)).value == 2
    assert (await flights.attend("k", start, end, until=None)).value == 3
    ending.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (await flights.attend("k", start, end, until=None)).value == 3


async def test_a_start_that_fails_is_told_to_all_who_attend() -> None:
    """And not kept."""
    flights = Coalescer()

    async def start() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def end(_: int) -> None:
        raise AssertionError("it never began")

    callers = [begin(flights.attend("k", start, end)) for _ in range(2)]
    assert [str(error) for error in await asyncio.gather(*callers, return_exceptions=True)] == ["no", "no"]
    assert len(flights) == 0
