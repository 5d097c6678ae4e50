"""Small parts: endings, health, the process and its loop, places in a trace."""

from __future__ import annotations

import asyncio
import resource
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stratarouter_runtime.errors import StoreFull
from stratarouter_runtime.ids import Digest, ExecutionId
from stratarouter_runtime.observability.endings import WAITING, Endings
from stratarouter_runtime.observability.health import Health
from stratarouter_runtime.observability.process import Loop, Process
from stratarouter_runtime.observability.telemetry import Ended
from stratarouter_runtime.traces import Trace, call_span, own_trace, parse, root_span


def ended(number: int) -> Ended:
    return cast("Ended", number)


async def test_ends_are_worked_off_in_order() -> None:
    done: list[Any] = []

    async def work(each: Ended) -> str:
        await asyncio.sleep(0)
        done.append(each)
        return "told"

    endings = Endings(work)
    for number in range(5):
        endings.hear(ended(number))
    await endings.close()
    assert done == [0, 1, 2, 3, 4]
    assert endings.outcomes == {"told": 5}


async def test_what_is_too_much_is_dropped_and_counted() -> None:
    gate = asyncio.Event()

    async def work(_: Ended) -> str:
        await gate.wait()
        return "told"

    endings = Endings(work)
    for number in range(WAITING + 3):
        endings.hear(ended(number))
    gate.set()
    await endings.close()
    assert endings.outcomes == {"told": WAITING, "dropped": 3}


async def test_one_that_fails_does_not_end_the_telling(caplog: pytest.LogCaptureFixture) -> None:
    async def work(each: Ended) -> str:
        if isinstance(each, SimpleNamespace):
            raise ZeroDivisionError
        return "told"

    endings = Endings(work)
    endings.hear(cast("Ended", SimpleNamespace(execution=SimpleNamespace(id="exec_1"))))
    endings.hear(ended(1))
    await endings.close()
    assert endings.outcomes == {"failed": 1, "told": 1}
    assert "exec_1" in caplog.text


async def test_a_part_that_fails_is_down_with_its_reason() -> None:
    async def well() -> str:
        return "writable"

    async def full() -> str:
        raise StoreFull("no room")

    health = Health()
    health.add("one", well)
    health.add("two", full)
    parts = await health.look()
    assert (parts["one"].status, parts["one"].detail) == ("ok", "writable")
    assert (parts["two"].status, parts["two"].detail) == ("down", "no room")
    assert isinstance(parts["two"].error, StoreFull)


def test_the_process_says_what_the_system_says() -> None:
    asked = 0

    def version() -> str:
        nonlocal asked
        asked += 1
        return "1.2.3"

    process = Process(version, 5_000_000, lambda: 1 << 21)
    stats = process.stats()
    assert (stats.build, stats.started) == ({"1.2.3": 1}, 5.0)
    assert stats.memory == 1 << 21
    assert 0 < stats.files <= resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert stats.threads >= 1
    assert process.stats().cpu_seconds >= stats.cpu_seconds > 0
    assert asked == 1


async def test_the_loop_is_looked_at_until_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratarouter_runtime.observability.process.TICK", 0.001)
    loop = Loop()
    watching = asyncio.create_task(loop.watch())
    while sum(loop.stats().delay.counts) < 3:  # noqa: ASYNC110 - it counts, and tells nobody
        await asyncio.sleep(0.001)
    watching.cancel()
    assert loop.last >= 0


@pytest.mark.parametrize(
    ("header", "place"),
    [
        (f"00-{'a' * 32}-{'b' * 16}-01", Trace("a" * 32, "b" * 16, sampled=True)),
        (f"00-{'a' * 32}-{'b' * 16}-00", Trace("a" * 32, "b" * 16, sampled=False)),
        (f"01-{'a' * 32}-{'b' * 16}-03-more", Trace("a" * 32, "b" * 16, sampled=True)),
        (f"ff-{'a' * 32}-{'b' * 16}-01", None),
        (f"00-{'0' * 32}-{'b' * 16}-01", None),
        (f"00-{'a' * 32}-{'0' * 16}-01", None),
        (f"00-{'A' * 32}-{'b' * 16}-01", None),
        ("", None),
    ],
)
def test_a_place_is_read_as_the_standard_says(header: str, place: Trace | None) -> None:
    assert parse(header) == place


def test_a_place_comes_back_from_its_header() -> None:
    place = Trace("a" * 32, "b" * 16, sampled=True)
    assert parse(place.header()) == place


def test_spans_are_told_apart_by_execution_step_and_attempt() -> None:
    one, two = ExecutionId("exec_1"), ExecutionId("exec_2")
    step, other = Digest("a" * 64), Digest("b" * 64)
    spans = {
        root_span(one),
        root_span(two),
        call_span(one, step, 1),
        call_span(one, step, 2),
        call_span(one, other, 1),
        call_span(two, step, 1),
    }
    assert len(spans) == 6
    assert {len(span) for span in spans} == {16}
    assert call_span(one, step, 1) == call_span(one, step, 1)
    assert len(own_trace(one)) == 32
