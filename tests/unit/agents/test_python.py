from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.agents.python import PythonAgent
from stratarouter_runtime.agents.threads import Threads
from stratarouter_runtime.builder.agents import AgentError, agent, definition_of
from stratarouter_runtime.builder.usage import report
from stratarouter_runtime.errors import LeaseLost
from stratarouter_runtime.ids import LOCAL, Digest, ExecutionId
from stratarouter_runtime.ports import AgentCall, AgentReply, Clock
from stratarouter_runtime.state.events import Failure, Usage
from stratarouter_runtime.tcfp.ir import Cost

HERE = contextvars.ContextVar("HERE", default="nowhere")


@dataclass
class Point:
    x: int
    y: int


class Ticking(Clock):
    """A millisecond passes with every look."""

    def __init__(self) -> None:
        self._now = 0

    @override
    def now(self) -> int:
        self._now += 1_000
        return self._now


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads(2)
    yield threads
    await threads.close()


def agent_of(function: Callable[..., Any], threads: Threads, **options: Any) -> PythonAgent:
    definition = definition_of(agent(errors=["declined"])(function))
    assert definition is not None
    return PythonAgent(definition, threads, Ticking(), **options)


def call_of(value: Any) -> AgentCall:
    return AgentCall(ExecutionId("exec_1"), LOCAL, Digest("k" * 64), "seed", 1, value)


async def ask(function: Callable[..., Any], threads: Threads, **value: Any) -> AgentReply:
    return await agent_of(function, threads).call(call_of(value))


def mirrored(point: Point) -> Point:
    return Point(point.y, point.x)


async def mirrored_later(point: Point) -> Point:
    await asyncio.sleep(0)
    return mirrored(point)


@pytest.mark.parametrize("function", [mirrored, mirrored_later])
async def test_a_function_gets_its_classes_and_gives_values(
    function: Callable[..., Any], threads: Threads
) -> None:
    reply = await ask(function, threads, point={"x": 1, "y": 2})
    assert reply == AgentReply(output={"x": 2, "y": 1}, usage=Usage(ms=1.0))


async def test_plain_functions_run_beside_the_loop_and_coroutines_on_it(threads: Threads) -> None:
    def plain() -> str:
        return threading.current_thread().name

    async def coroutine() -> str:
        return threading.current_thread().name

    assert (await ask(plain, threads)).output == "agent"
    assert (await ask(coroutine, threads)).output == threading.current_thread().name


async def test_what_waited_for_a_thread_begins_only_where_nobody_else_may_have_begun_it() -> None:
    """As after a stop past the lease, with calls queued: none of them may have its effect twice."""
    threads, made, free, lost = Threads(1), [], threading.Event(), asyncio.Event()

    def first() -> None:
        free.wait(5)

    async def confirm() -> None:
        if lost.is_set():
            raise LeaseLost

    async def call(function: Callable[[], None]) -> AgentReply:
        return await agent_of(function, threads).call(replace(call_of({}), confirm=confirm))

    busy = asyncio.create_task(call(first))
    await asyncio.sleep(0)
    queued = asyncio.create_task(call(lambda: made.append(1)))
    await asyncio.sleep(0)
    lost.set()
    free.set()
    with pytest.raises(LeaseLost):
        await queued
    assert (await busy).failure is None
    assert not made
    assert (await call(lambda: made.append(2))).failure is None  # its caller has just been asked
    assert made == [2]
    await threads.close()


async def test_a_plain_function_that_gives_an_awaitable_is_awaited(threads: Threads) -> None:
    def later(point: Point) -> Any:
        return mirrored_later(point)

    assert (await ask(later, threads, point={"x": 1, "y": 2})).output == {"x": 2, "y": 1}


@pytest.mark.parametrize("on_a_thread", [True, False])
async def test_what_is_reported_is_the_usage(threads: Threads, on_a_thread: bool) -> None:  # noqa: FBT001 - a case
    def spend() -> None:
        report(usd=0.25, tokens_in=3)
        report(tokens_out=4)

    async def spend_here() -> None:
        spend()

    reply = await ask(spend if on_a_thread else spend_here, threads)
    assert reply.usage == Usage(0.25, 3, 4, 1.0)


async def test_a_call_that_reports_nothing_counts_as_what_its_agent_declares(threads: Threads) -> None:
    @agent(cost=Cost(usd=0.5, tokens=70))
    async def silent(free: bool) -> int:  # noqa: FBT001 - a field of its input
        if free:
            report()
        return 1

    definition = definition_of(silent)
    assert definition is not None
    declared = PythonAgent(definition, threads, Ticking())
    assert (await declared.call(call_of({"free": False}))).usage == Usage(0.5, 70, ms=1.0)
    assert (await declared.call(call_of({"free": True}))).usage == Usage(ms=1.0)


async def test_usage_is_kept_when_the_function_fails(threads: Threads) -> None:
    def spend() -> None:
        report(usd=0.25)
        raise ValueError

    assert (await ask(spend, threads)).usage == Usage(0.25, ms=1.0)


async def test_the_context_of_the_caller_goes_along(threads: Threads) -> None:
    def look() -> str:
        return HERE.get()

    HERE.set("loop")
    assert (await ask(look, threads)).output == "loop"


class Silent(Exception):
    """An exception that fails to say what it is about."""

    @override
    def __str__(self) -> str:
        raise ValueError


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    fail.__name__ = "fail"
    return fail


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ValueError("no such city"), Failure("agent.unavailable", "fail raised ValueError: no such city")),
        (KeyError("city"), Failure("agent.unavailable", "fail raised KeyError: 'city'")),
        (SystemExit(3), Failure("agent.unavailable", "fail raised SystemExit: 3")),
        (KeyboardInterrupt(), Failure("agent.unavailable", "fail raised KeyboardInterrupt")),
        (BaseException("base"), Failure("agent.unavailable", "fail raised BaseException: base")),
        (Silent(), Failure("agent.unavailable", "fail raised Silent")),
        (
            StopIteration(),
            Failure("agent.unavailable", "fail raised RuntimeError: coroutine raised StopIteration"),
        ),
        (asyncio.CancelledError(), Failure("agent.unavailable", "fail cancelled itself")),
        (TimeoutError("bank"), Failure("timeout", "fail gave up waiting: bank")),
        (TimeoutError(), Failure("timeout", "fail gave up waiting")),
        (AgentError("declined", "no funds", {"code": 5}), Failure("declined", "no funds", {"code": 5})),
        (AgentError("declined", "no", Point(1, 2)), Failure("declined", "no", {"x": 1, "y": 2})),
        (AgentError("declined", "no", object()), Failure("declined", "no (its data is no JSON)")),
        (AgentError("agent.rate_limited", "wait"), Failure("agent.rate_limited", "wait")),
        (
            AgentError("other", "no"),
            Failure("agent.refused", "other, which its signature does not declare: no"),
        ),
    ],
    ids=repr,
)
@pytest.mark.parametrize("on_a_thread", [True, False])
async def test_whatever_is_raised_is_a_failure(
    error: BaseException,
    failure: Failure,
    threads: Threads,
    on_a_thread: bool,  # noqa: FBT001 - a case
) -> None:
    async def fail() -> None:
        raise error

    reply = await ask(raising(error) if on_a_thread else fail, threads)
    assert reply.failure == failure


async def test_a_large_output_is_refused_with_its_size(threads: Threads) -> None:
    def much() -> list[str]:
        return ["x" * 60, "y" * 60]

    reply = await agent_of(much, threads, max_output=100).call(call_of({}))
    assert reply.failure == Failure("limit.output", "the output has 127 bytes; at most 100 are accepted")
    assert reply.output is None


@pytest.mark.parametrize("output", [{"a": object()}, b"\x00\xff", [[]], float("nan")])
async def test_what_is_no_json_is_left_to_the_check_of_the_caller(threads: Threads, output: Any) -> None:
    reply = await ask(lambda: output, threads)
    assert reply.failure is None
    assert reply.output is not None


async def test_a_caller_that_leaves_cancels_the_coroutine(threads: Threads) -> None:
    ended = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    task = asyncio.ensure_future(ask(hang, threads))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_no_more_functions_run_at_once_than_there_is_room_for(threads: Threads) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def count() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.005)
        with lock:
            running -= 1

    await asyncio.gather(*(threads.run(count) for _ in range(8)))
    assert most == 2


async def test_functions_that_hang_do_not_take_the_room_of_others(threads: Threads) -> None:
    gate = threading.Event()
    hanging = [asyncio.ensure_future(threads.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0.01)
    for task in hanging:
        task.cancel()
    assert await asyncio.wait_for(threads.run(lambda: "done"), 1) == "done"
    gate.set()


async def test_threads_are_used_again(threads: Threads) -> None:
    idents = {await threads.run(threading.get_ident) for _ in range(5)}
    assert len(idents) == 1


async def test_too_many_calls_that_hang_make_the_agent_unavailable(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stratarouter_runtime.agents.threads._MOST_LOST", 1)
    gate = threading.Event()
    hanging = asyncio.ensure_future(threads.run(gate.wait))
    await asyncio.sleep(0.01)
    hanging.cancel()
    await asyncio.sleep(0)
    reply = await ask(lambda: 1, threads)
    assert reply.failure is not None
    assert "earlier calls that were given up still run" in reply.failure.message
    gate.set()
    for _ in range(100):
        await asyncio.sleep(0.001)
        if (await ask(lambda: 1, threads)).failure is None:
            return
    pytest.fail("the thread that came back was not counted")


def test_another_version_is_another_agent() -> None:
    def digest(version: str) -> Digest:
        definition = definition_of(agent(version=version)(lambda: None))
        assert definition is not None
        return PythonAgent(definition, Threads(), Ticking()).digest

    assert digest("1") == digest("1") != digest("2")


@pytest.mark.parametrize("usd", [-0.5, float("nan")])
async def test_what_is_told_of_costs_is_handed_on_as_it_is_for_the_boundary_to_judge(
    threads: Threads, usd: float
) -> None:
    def lie() -> str:
        report(usd=usd)
        return "done"

    reply = await ask(lie, threads)
    assert reply.usage is not None
    assert not reply.usage.usd >= 0


async def test_costs_that_are_told_after_the_answer_count_for_nothing(threads: Threads) -> None:
    late: list[asyncio.Task[None]] = []

    async def tell() -> None:
        report(usd=100.0)

    async def quick() -> str:
        late.append(asyncio.create_task(tell()))
        return "done"

    definition = definition_of(agent(cost=Cost(usd=0.01, tokens=7))(quick))
    assert definition is not None
    reply = await PythonAgent(definition, threads, Ticking()).call(call_of({}))
    await asyncio.gather(*late)
    assert reply.usage is not None
    assert (reply.usage.usd, reply.usage.tokens_in) == (0.01, 7)
