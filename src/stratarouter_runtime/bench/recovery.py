"""How long a server that was killed takes to go on: a process with its work under way, and the next one.

Must never know: how anything is recovered.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.bench.flows import HELD_BEFORE, held
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.bench.start import seconds
from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.ports import Execution, Observer
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import load
from stratarouter_runtime.state.events import Finished, Returned
from stratarouter_runtime.tally import quantile
from stratarouter_runtime.wiring import application
from stratarouter_runtime.workshops import open_module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.state.events import Record

EXECUTIONS: Final = 100
HOLD: Final = "hold"
"""A file in the working directory: while it is there, the agent in the middle of the flow does not answer."""

_CHILD: Final = """
import sys
import uvloop
from stratarouter_runtime.bench.recovery import {work}
uvloop.run({work}(sys.argv[1]))
"""


class Told(Struct, frozen=True):
    """By the clock that all processes share: the first fact that went on, and when all had ended."""

    first: float
    last: float


def recovery(folder: Path, store: str | None = None, rounds: int = 5) -> list[Measure]:
    """From the start of the next process, on a store in `folder` or in the database of a URL."""
    begun, ended = [], []
    for number in range(rounds):
        at, told = _round(folder, store or f"killed{number}.db")
        begun.append(told.first - at)
        ended.append(told.last - told.first)
    start = quantile([seconds("pass") for _ in range(rounds)], 0.5)
    return [
        Measure(
            "recovery begins after the next start",
            quantile(begun, 0.5),
            "s",
            0.5,
            "less",
            start,
            "starting Python alone",
        ),
        Measure(
            f"{EXECUTIONS} executions of ten steps finished after that",
            quantile(ended, 0.5),
            "s",
            1.0,
            "less",
            0.1,
            "0.1 s",
        ),
    ]


def _round(folder: Path, store: str) -> tuple[float, Told]:
    hold = folder / HOLD
    hold.touch()
    with _child("under_way", store, folder) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline().strip() == b"under way"
        victim.kill()
    hold.unlink()
    at = perf_counter()
    with _child("take_up", store, folder) as heir:
        out, _ = heir.communicate(timeout=60)
    return at, msgspec.json.decode(out, type=Told)


def _child(work: str, store: str, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _CHILD.format(work=work), store]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)  # noqa: S603 - our own program


class _Watch(Observer):
    """`all` is set once so many facts of a kind were recorded; `first` is when the first of any was."""

    def __init__(self, kind: type[Returned | Finished], expected: int) -> None:
        self._kind = kind
        self._left = expected
        self.first = 0.0
        self.all = asyncio.Event()

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        self.first = self.first or perf_counter()
        self._left -= sum(isinstance(event, self._kind) for event in events)
        if self._left <= 0:
            self.all.set()


async def under_way(store: str) -> None:
    """In the process that is killed: begin all, say when each waits in its middle, and stay."""
    waiting = _Watch(Returned, EXECUTIONS * HELD_BEFORE)
    async with application(load(), open_module("stratarouter_runtime.bench.agents"), store=store) as app:
        app.observers.add(waiting)
        plan = app.runtime.flows.compile(held(10))
        for n in range(EXECUTIONS):
            await app.runtime.start(StartExecution(plan, {"n": n}, FlowId(plan.name)))
        await waiting.all.wait()
        sys.stdout.write("under way\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def take_up(store: str) -> None:
    """In the next one: recover as a server does, and tell when."""
    ended = _Watch(Finished, EXECUTIONS)
    registry = open_module("stratarouter_runtime.bench.agents")
    async with application(load(), registry, store=store, claiming=True, observer=ended) as app:
        await app.runtime.recover()
        await ended.all.wait()
    sys.stdout.write(msgspec.json.encode(Told(ended.first, perf_counter())).decode())
