"""What executions cost, durable on a real disk, through everything a user's call goes through.

Must never know: how executions are driven or kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.bench.flows import chain, fan, fork
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.host import settle_memory, sync_latency
from stratarouter_runtime.ids import LOCAL, Digest, ExecutionId, FlowId
from stratarouter_runtime.ports import Execution, Store
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import load
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.system import SystemEntropy
from stratarouter_runtime.tally import quantile
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import open_module

AT_ONCE = 50
ROW = b'{"t":"returned","step":"7","input":"' + b"0" * 64 + b'","output":{"n":1}}'


async def engine(
    folder: Path, executions: int, at_once: int = AT_ONCE, store: str | None = None
) -> list[Measure]:
    """All figures about executions, on a store in `folder`, or in the database of a URL."""
    registry = open_module("stratarouter_runtime.bench.agents")
    sizes = [] if store else [await _size(folder / "size.db", registry)]
    async with application(load(), registry, store=store or folder / "bench.db") as app:
        settle_memory()
        return [
            *sizes,
            *await _throughput(app, executions, 10, at_once),
            await _single(app, folder),
            await _spread("100-way par and join", app, folder, fork(100), {"n": 1}),
            await _spread("100-way each and join", app, folder, fan(100), {"ns": list(range(100))}),
        ]


async def _size(path: Path, registry: Registry) -> Measure:
    """What a small step takes of a file, with its share of all that an execution of ten leaves there."""
    executions, steps = 300, 10
    async with application(load(), registry, store=path) as app:
        plan = app.runtime.flows.compile(chain(steps).replace("stable: true", "cache: never"))
        await many(app, plan, executions, AT_ONCE)
        (row,) = await app.store.search(limit=1)
        bare = sum(len(record.body) + len(record.link) + 8 for record in await app.store.read(row.id)) / steps
    value = path.stat().st_size / (executions * steps)  # noqa: ASYNC240 - nobody else is served
    return Measure("journal a small step", value, "B", 300, "less", bare, "facts, times and links alone")


async def _throughput(app: Application, executions: int, steps: int, at_once: int) -> list[Measure]:
    """Steps a second, and what one takes of the processor, this process alone."""
    plan = app.runtime.flows.compile(chain(steps))
    await many(app, plan, at_once, at_once)
    rate, micros = await _pace(executions * steps, many(app, plan, executions, at_once))
    rows = executions * steps // 2
    limit, floor = await _pace(rows, _rows(app.store, rows, at_once))
    name = f"durable steps a second, {steps}-step flows, {at_once} at a time"
    target = 8_000 if app.place.startswith("postgres") else 12_000
    against = f"the store's rows a second, {at_once} writers"
    return [
        Measure(name, rate, "/s", target, "more", limit, against),
        Measure("processor time of such a step", micros, "µs", 60, "less", floor, "that of the store's row"),
    ]


async def _pace(things: int, work: Coroutine[Any, Any, None]) -> tuple[float, float]:
    """So many things done: how many a second, and the microseconds of processor time of each."""
    began, spent = perf_counter(), process_time()
    await work
    return things / (perf_counter() - began), (process_time() - spent) / things * 1e6


async def many(app: Application, plan: Plan, executions: int, at_once: int) -> None:
    """Run so many executions of one number, so many at a time."""
    left = iter(range(executions))

    async def work() -> None:
        for n in left:
            done = await app.runtime.execute(StartExecution(plan, {"n": n}, FlowId(plan.name)))
            assert done.status == "completed", done

    await asyncio.gather(*(work() for _ in range(at_once)))


async def _rows(store: Store, rows: int, at_once: int) -> None:
    """Have the store take rows from so many writers, one row and one wait each."""
    names = [SystemEntropy().execution_id() for _ in range(at_once)]
    await asyncio.gather(*(_write(store, name, rows // at_once) for name in names))


async def _write(store: Store, name: ExecutionId, rows: int) -> None:
    plan, flow = Digest("0" * 64), FlowId("bench.rows")
    await store.create(
        Execution(name, LOCAL, flow, plan, "completed", 0, 0, 1), [Record(0, 0, ROW, bytes(32))]
    )
    for seq in range(1, rows):
        await store.append(name, [Record(seq, seq, ROW, bytes(32))])


async def _single(app: Application, folder: Path) -> Measure:
    plan = app.runtime.flows.compile(chain(1))
    syncs = sync_latency(folder, samples=100)
    times = await _times(app, plan, {"n": 1}, 200)
    again = sync_latency(folder, samples=100)
    sync = (syncs.p50 + again.p50) / 2 / 1_000
    return Measure(
        "one-step execution, p50",
        quantile(times, 0.5),
        "ms",
        2 * sync + 1.5,
        "less",
        sync,
        f"a sync of {sync:.2f} ms: its call is harmless",
    )


async def _spread(name: str, app: Application, folder: Path, source: str, given: dict[str, Any]) -> Measure:
    plan = app.runtime.flows.compile(source)
    sync = sync_latency(folder, samples=100).p50 / 1_000
    times = await _times(app, plan, given, 30)
    return Measure(name, quantile(times, 0.5), "ms", 25, "less", 2 * sync, f"two syncs of {sync:.2f} ms")


async def _times(app: Application, plan: Plan, given: dict[str, Any], times: int) -> list[float]:
    """Milliseconds of so many executions, one after the other."""
    taken = []
    for _ in range(times):
        began = perf_counter()
        done = await app.runtime.execute(StartExecution(plan, given, FlowId(plan.name)))
        taken.append((perf_counter() - began) * 1_000)
        assert done.status == "completed", done
    return taken
