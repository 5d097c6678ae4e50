"""What walls around agents cost: a call to a worker that is warm, to one that is new, and to many at once.

A moment passes between calls, as it does in an execution, whose journal is written there. Must
never know: how walls are built.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, Final

import orjson
from msgspec.structs import replace

from stratarouter_runtime.agents.snippets import find_monty
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.ids import Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import AgentCall, Cell
from stratarouter_runtime.sandbox.cells import BoxedCells
from stratarouter_runtime.sandbox.walls import MIB
from stratarouter_runtime.tally import quantile
from stratarouter_runtime.workshops import open_cells

_INSIDE: Final = "stratarouter_runtime.agents.inside"
_CODE: Final = "def run(n):\n    return {'n': n + 1}\n"
_NAP: Final = "import time\ndef run():\n    time.sleep(2)\n    return {}\n"
_MODULE: Final = (
    "AGFzbQEAAAABDAJgAX8Bf2ACf38BfgMDAgABBQQBAQJABgcBfwFBgAgLBxgDBm1lbW9yeQIABWFsbG9jAAADcnVuAAEKIAIRAQF/"
    "IwAhASMAIABqJAAgAQsMACAArUIghiABrYQLABMEbmFtZQIGAQABAQFwBwQBAAFu"
)
"""A module of 136 bytes whose output is its input."""
_MOMENT: Final = 0.001
_AT_ONCE: Final = 100
_SMALL: Final = 96 * MIB
"""Address space of an interpreter in a box, with some room."""


_BESIDE: Final = f"""
import asyncio, sys, time
async def watch():
    late, turn, over = 0.0, 0.0, asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    while not over.done():
        began, computed = time.perf_counter(), time.thread_time()
        await asyncio.sleep({_MOMENT})
        late = max(late, time.perf_counter() - began - {_MOMENT})
        turn = max(turn, time.thread_time() - computed)
    print(late * 1000, turn * 1000)
asyncio.run(watch())
"""
"""An idle loop in a process of its own, which tells how late its timers were at worst, and its longest turn."""


async def walls(calls: int = 400) -> list[Measure]:
    """All figures about walls, with `calls` calls for each kind."""
    async with _cells() as cells:
        pipe = _pipe(calls)
        return [
            *[await _warm(cells, name, cell, calls, target, pipe) for name, cell, target in _kinds()],
            await _fresh(cells, calls // 4),
            await _rate(cells, calls),
            *await _many(cells),
        ]


@asynccontextmanager
async def _cells() -> AsyncIterator[BoxedCells]:
    cells = open_cells()
    try:
        yield cells
    finally:
        await cells.close()


def _kinds() -> list[tuple[str, Cell, float]]:
    """Name, cell and target in ms of each kind."""
    path = [str(Path(each).resolve()) for each in sys.path]
    function = {"file": "", "module": "stratarouter_runtime.bench.agents", "name": "increment", "path": path}
    module = {"module": _MODULE, "fuel": 10_000_000, "memory": 64 * MIB}
    binary = find_monty("bench")
    text = {"code": _CODE, "binary": binary, "cpu_seconds": 5, "memory": 64 * MIB}
    monty = _cell("sandbox", "monty", text, memory=512 * MIB)
    return [
        ("a function in its own process", _cell("process", "function", function), 0.25),
        ("text on CPython", _cell("sandbox", "text", {"code": _CODE}), 0.25),
        ("text on monty", replace(monty, programs=(binary,), spawning=True), 0.25),
        ("a WebAssembly module", _cell("wasm", "wasm", module), 0.15),
    ]


def _cell(level: Any, program: str, setup: Any, memory: int = 256 * MIB) -> Cell:
    return Cell(level, f"{_INSIDE}.{program}", Digest(program), orjson.dumps(setup), memory=memory)


def _call(**given: Any) -> AgentCall:
    return AgentCall(ExecutionId("bench"), Tenant("bench"), Digest("bench"), "5eed" * 8, 1, given)


async def _times(cells: BoxedCells, cell: Cell, calls: int) -> list[float]:
    """Milliseconds of so many calls, with a moment between."""
    taken = []
    for _ in range(calls):
        await asyncio.sleep(_MOMENT)
        began = perf_counter()
        reply = await cells.call(cell, _call(n=1))
        taken.append((perf_counter() - began) * 1_000)
        assert reply.failure is None, reply.failure
    return taken


async def _warm(cells: BoxedCells, name: str, cell: Cell, calls: int, target: float, pipe: float) -> Measure:
    await _times(cells, cell, 5)
    # The best round, since noise only ever adds.
    value = min([quantile(await _times(cells, cell, calls // 5), 0.5) for _ in range(5)])
    return Measure(
        f"warm call: {name}, p50", value, "ms", target, "less", pipe, "a byte to another process and back"
    )


def _pipe(calls: int) -> float:
    """Milliseconds that a byte takes to another process and back, p50."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as cat:
        assert cat.stdin is not None
        assert cat.stdout is not None
        taken = []
        for _ in range(calls):
            began = perf_counter()
            cat.stdin.write(b"x")
            cat.stdout.read(1)
            taken.append((perf_counter() - began) * 1_000)
        cat.stdin.close()
    return quantile(taken, 0.5)


async def _fresh(cells: BoxedCells, calls: int) -> Measure:
    cell = replace(_cell("sandbox", "text", {"code": _CODE}), calls=1, digest=Digest("fresh"))
    value = quantile(await _times(cells, cell, calls), 0.5)
    return Measure(
        "fresh process in a box, its call with it, p50", value, "ms", 10, "less", _spawn(20), "fork and exec"
    )


def _spawn(times: int) -> float:
    """Milliseconds of starting the smallest program there is, p50."""
    taken = []
    for _ in range(times):
        began = perf_counter()
        subprocess.run(["/bin/true"], check=True)
        taken.append((perf_counter() - began) * 1_000)
    return quantile(taken, 0.5)


async def _rate(cells: BoxedCells, calls: int) -> Measure:
    """Fresh boxed processes a second, as many at a time as there are processors."""
    cell = replace(_cell("sandbox", "text", {"code": _CODE}), calls=1, digest=Digest("rate"))
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            assert (await cells.call(cell, _call(n=1))).failure is None

    began = perf_counter()
    await asyncio.gather(*(work() for _ in range(4)))
    rate = calls / (perf_counter() - began)
    return Measure(
        "fresh processes in boxes a second", rate, "/s", 200, "more", 1_000 / _spawn(20), "fork and exec"
    )


async def _many(cells: BoxedCells) -> list[Measure]:
    """A hundred that are alive at once: what they take of memory, and how long the loop was held up."""
    cell = replace(
        _cell("sandbox", "text", {"code": _NAP}, memory=_SMALL), cpu=0.01, disk=MIB, digest=Digest("many")
    )
    stalls: list[float] = []
    turns: list[float] = []
    beside = subprocess.Popen(  # noqa: S603, ASYNC220 - our own program, started before anything is measured
        [sys.executable, "-c", _BESIDE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    watching = asyncio.create_task(_watch(stalls, turns))
    before, others = _available(), cells.stats().workers
    calls = [asyncio.create_task(cells.call(cell, _call())) for _ in range(_AT_ONCE)]
    most, least = 0, before
    while not all(call.done() for call in calls):
        await asyncio.sleep(0.005)
        most, least = max(most, cells.stats().workers - others), min(least, _available())
    watching.cancel()
    told, _ = await asyncio.to_thread(beside.communicate, "\n")
    late, turn = map(float, told.split())
    failed = [failure for call in calls if (failure := call.result().failure) is not None]
    assert not failed, failed[0]
    reserved = _AT_ONCE * (_SMALL + MIB) / MIB
    taken = (before - least) / MIB
    return [
        Measure("sandboxes at once", most, "", _AT_ONCE, "more", _AT_ONCE, "what was asked for"),
        Measure("memory that they take", taken, "MiB", reserved, "less", reserved, "what they reserved"),
        Measure(
            "longest stall of the loop meanwhile",
            max(stalls),
            "ms",
            10,
            "less",
            late,
            "that of an idle loop in another process",
        ),
        Measure(
            "longest turn of the loop meanwhile, CPU",
            max(turns),
            "ms",
            10,
            "less",
            turn,
            "that of an idle loop in another process",
        ),
    ]


async def _watch(stalls: list[float], turns: list[float]) -> None:
    """Note how many milliseconds late a timer of one is, and how many the loop computed until it came."""
    while True:
        began, computed = perf_counter(), thread_time()
        await asyncio.sleep(_MOMENT)
        stalls.append((perf_counter() - began - _MOMENT) * 1_000)
        turns.append((thread_time() - computed) * 1_000)


def _available() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
