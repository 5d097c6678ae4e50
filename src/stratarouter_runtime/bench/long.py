"""What does not show in a short run: costs in a large store, of long flows, of forgetting, and over time.

Must never know: how executions are driven or kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final, TypeAlias

from stratarouter_runtime.bench.engine import many
from stratarouter_runtime.bench.flows import chain
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.host import resident
from stratarouter_runtime.ids import LOCAL, Digest, FlowId
from stratarouter_runtime.ports import Execution, Store
from stratarouter_runtime.services.retention import Policy, prune
from stratarouter_runtime.settings import load
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.system import SystemClock, SystemEntropy
from stratarouter_runtime.tally import quantile
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import open_module

ROWS: Final = 1_000_000
"""Of the large store."""

AT_ONCE: Final = 50
STEPS: Final = 10_000
"""In a round."""

ROUNDS: Final = 7
"""Of each measure."""

Work: TypeAlias = Callable[[], Awaitable[object]]

_BODY: Final = (
    b'{"t":"returned","step":"s%d","input":"0123456789abcdef","output":{"n":%d},"usage":{"ms":0.01}}'
)
_FILLED: Final = 12
"""Records of an execution that fills the store: as many as one of ten steps has."""


async def long(folder: Path, store: str | None = None, rows: int = ROWS) -> list[Measure]:
    """All figures of this part, on a store in `folder`, or in the database of a URL."""
    async with _application(store or folder / "small.db") as app:
        length = await _length(app)
        size = await _bytes(app)
        small = await _cost(app)
        # One database is measured before and after it is filled; of two files each in its turn.
        async with _application(store or folder / "large.db") as filled:
            await _fill(filled.store, rows)
            if store is None:
                small, large = await _pair(_chains(app), _chains(filled))
            else:
                large = await _cost(filled)
            calm, busy = await _forgetting(filled)
    return [
        Measure(
            f"a step at {rows:,} rows", large, "µs", 1.2 * small, "less", small, "a step in a small store"
        ),
        length,
        size,
        Measure(
            "a commit while forgetting, p99",
            busy,
            "ms",
            2 * calm,
            "less",
            calm,
            "the same, forgetting nothing",
        ),
    ]


async def soak(folder: Path, store: str | None, seconds: float) -> list[Measure]:
    """Whether memory stays flat under load: at the end, and after a quarter of the time."""
    async with _application(store or folder / "soak.db") as app:
        plan = app.runtime.flows.compile(chain(10))
        seen: list[tuple[float, float]] = []
        began, done = perf_counter(), 0
        while (now := perf_counter() - began) < seconds:
            await many(app, plan, 100, AT_ONCE)
            done += 1_000
            seen.append((now, resident() / 2**20))
    first = quantile([size for at, size in seen if seconds / 4 <= at < seconds / 2], 0.5)
    last = quantile([size for at, size in seen if at >= seconds * 3 / 4], 0.5)
    name = f"memory after {seconds:,.0f} s of load, {done:,} steps"
    return [Measure(name, last, "MiB", 1.05 * first, "less", first, "the same after a quarter of the time")]


@asynccontextmanager
async def _application(store: Path | str) -> AsyncIterator[Application]:
    registry = open_module("stratarouter_runtime.bench.agents")
    async with application(load(), registry, store=store) as app:
        yield app


async def _cost(app: Application) -> float:
    """Microseconds of a step, many executions at a time."""
    return (await _pair(_chains(app), _chains(app)))[0]


def _chains(app: Application, steps: int = 10, at_once: int = AT_ONCE) -> Work:
    """Always as many steps, in longer or shorter executions."""
    plan = app.runtime.flows.compile(chain(steps))
    return partial(many, app, plan, STEPS // steps, at_once)


async def _pair(one: Work, other: Work) -> tuple[float, float]:
    """Microseconds of a step of two kinds, in turn: the median, and what the median ratio makes of it.

    What else the machine does falls on neighbours alike, and so not on their ratio.
    """
    taken = [(await _seconds(one), await _seconds(other)) for _ in range(ROUNDS)]
    first = quantile([left for left, _ in taken], 0.5) / STEPS * 1e6
    return first, first * quantile([right / left for left, right in taken], 0.5)


async def _length(app: Application) -> Measure:
    """A step of a long flow beside one of a short one, as many of either and as many at a time."""
    limit, figure = await _pair(_chains(app, 10, 10), _chains(app, 1_000, 10))
    return Measure("a step of 1,000", figure, "µs", 1.3 * limit, "less", limit, "a step of ten")


async def _bytes(app: Application) -> Measure:
    """What a small step takes on the disk, with its share of everything around it."""
    plan = app.runtime.flows.compile(chain(10))
    before = await app.store.keeping.size()
    await many(app, plan, 1_000, AT_ONCE)
    after = await app.store.keeping.size()
    bare = (after.bytes - before.bytes) / 10_000
    taken = (after.disk - before.disk - after.free + before.free) / 10_000
    return Measure(
        "bytes a small step takes on the disk", taken, "B", 300, "less", bare, "the facts themselves"
    )


async def _fill(store: Store, rows: int) -> None:
    """Executions that have ended, until there are so many rows."""
    left = iter(range(rows // _FILLED))
    plan, flow, entropy = Digest("0" * 64), FlowId("bench.rows"), SystemEntropy()

    async def work() -> None:
        for number in left:
            row = Execution(entropy.execution_id(), LOCAL, flow, plan, "completed", number, number, _FILLED)
            facts = [Record(seq, number, _BODY % (seq, number), bytes(32)) for seq in range(_FILLED)]
            await store.create(row, facts)

    await asyncio.gather(*(work() for _ in range(256)))


async def _forgetting(app: Application) -> tuple[float, float]:
    """Milliseconds within which 99 of 100 commits are made under load: without and with forgetting beside it."""
    calm = await _commits(app, None)
    forgetting = asyncio.create_task(_forget(app))
    busy = await _commits(app, forgetting)
    forgetting.cancel()
    with suppress(asyncio.CancelledError):
        await forgetting
    return calm, busy


async def _forget(app: Application) -> None:
    size = await app.store.keeping.size()
    await prune(app.store.keeping, Policy(executions=size.executions // 4), SystemClock().now())


async def _commits(app: Application, beside: asyncio.Task[None] | None, seconds: float = 8.0) -> float:
    plan = app.runtime.flows.compile(chain(10))
    taken: list[float] = []
    until = perf_counter() + seconds

    async def load_() -> None:
        while perf_counter() < until:
            await many(app, plan, 50, 10)

    async def probe() -> None:
        while perf_counter() < until:
            taken.append(await _seconds(app.store.probe) * 1_000)
            assert beside is None or not beside.done() or beside.result() is None
            await asyncio.sleep(0.005)

    await asyncio.gather(load_(), probe())
    return quantile(taken, 0.99)


async def _seconds(work: Work) -> float:
    began = perf_counter()
    await work()
    return perf_counter() - began
