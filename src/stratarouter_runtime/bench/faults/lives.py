"""The two lives of an execution: in a process that is killed, and in one that takes it up.

Must never know: what must be true after them.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Struct, field

from stratarouter_runtime.bench.faults.points import Kill, Trigger, WatchedStore
from stratarouter_runtime.bench.faults.shapes import ANSWER, SHAPES, Notes, Shape, agents
from stratarouter_runtime.bridge.lazy import LazyScorer
from stratarouter_runtime.errors import InvalidState, NotFound, StrataError
from stratarouter_runtime.executor.snapshots import Snapshotting
from stratarouter_runtime.ids import LOCAL, ExecutionId, FlowId, derived_execution_id
from stratarouter_runtime.observability.fanout import Fanout
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.runtime import Runtime
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Asked, Returned
from stratarouter_runtime.state.questions import open_questions
from stratarouter_runtime.system import SystemClock, SystemEntropy
from stratarouter_runtime.wiring import administration

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Scorer, Store

PATIENCE: Final = 60.0
"""Seconds after which an execution that has not ended never will."""


LEASE: Final = 0.5
"""Seconds after which a process on a database counts as gone: the shortest that may be set."""


class Trial(Struct, frozen=True):
    """One execution of a shape, in a store; its first process is killed, if it comes to that."""

    shape: str
    kill: Kill
    key: str
    store: str
    notes: str

    @property
    def execution(self) -> ExecutionId:
        """The id that its key means."""
        return derived_execution_id(LOCAL, self.key)


class Result(Struct):
    """What the second process saw of it.

    `answers` has the time, step and attempt of every answer in its journal; `taken_up` is after how
    many seconds it was at work again.
    """

    status: str = ""
    output: Any = None
    answers: list[tuple[int, str, int]] = field(default_factory=list)
    replays: bool = False
    taken_up: float | None = None
    error: str = ""


def first_life(trial: Trial) -> None:
    """Start it, and take it to its end; written down is what was acknowledged."""
    logging.disable()
    try:
        asyncio.run(_first(trial))
    except Exception as error:  # noqa: BLE001 - told, whatever it is
        Notes(Path(trial.notes)).write("failed", repr(error))
        sys.exit(1)


def second_life(trial: Trial, into: str) -> None:
    """Take up what was left; start it again with its key, and see its end. `into` a file goes the `Result`."""
    logging.disable()
    began = perf_counter()
    try:
        result = asyncio.run(_second(trial, began))
    except Exception as error:  # noqa: BLE001 - told, whatever it is
        result = Result(error=repr(error))
    Path(into).write_bytes(msgspec.json.encode(result))


@asynccontextmanager
async def _runtime(trial: Trial, trigger: Trigger) -> AsyncIterator[tuple[Runtime, Store]]:
    settings = Settings(database_max_connections=4, database_lease_seconds=LEASE)
    async with administration(settings, store=trial.store) as office:
        runtime = Runtime(
            store=cast("Store", WatchedStore(office.store, trigger)),
            registry=agents(Notes(Path(trial.notes)), trigger.heard),
            scorer=LazyScorer(_no_scorer),
            observers=Fanout(),
            clock=SystemClock(),
            entropy=SystemEntropy(),
            snapshotting=Snapshotting(records=2, seconds=0.01),
        )
        try:
            yield runtime, office.store
        finally:
            await runtime.driver.drain(PATIENCE)


def _no_scorer() -> Scorer:
    raise AssertionError("nothing is routed here")


async def _first(trial: Trial) -> None:
    notes, trigger = Notes(Path(trial.notes)), Trigger(trial.kill)
    async with _runtime(trial, trigger) as (runtime, _):
        execution = await runtime.start(_request(trial, runtime))
        notes.write("acknowledged", execution)
        watching = asyncio.create_task(trigger.watch())
        await _to_its_end(runtime, execution, lambda: False, pause=0.1)
        notes.write("ended", execution)
        watching.cancel()


def _request(trial: Trial, runtime: Runtime) -> StartExecution:
    shape = shape_of(trial)
    plan = runtime.flows.compile(shape.source)
    return StartExecution(plan, {"n": 1}, FlowId(plan.name), key=trial.key)


def shape_of(trial: Trial) -> Shape:
    """The shape of a trial."""
    return next(shape for shape in SHAPES if shape.name == trial.shape)


async def _second(trial: Trial, began: float) -> Result:
    notes, result = Notes(Path(trial.notes)), Result()

    def paid() -> bool:
        return any(line[1:3] == ["call", "pay"] for line in notes.lines())

    async with _runtime(trial, Trigger(None)) as (runtime, store):
        left = await store.find(trial.execution)
        at_work = asyncio.Event()
        taking = asyncio.create_task(_take_up(runtime, trial.execution, at_work))
        if left is not None and left.status not in ENDED:
            await asyncio.wait_for(at_work.wait(), PATIENCE)
            result.taken_up = perf_counter() - began
        execution = await runtime.start(_request(trial, runtime))
        await _to_its_end(runtime, execution, paid, pause=0.0)
        taking.cancel()
        row = await runtime.history.find(execution)
        result.status, result.output = row.status, row.output
        for record in await store.read(execution):
            event = decode(record.body)
            if isinstance(event, Returned):
                result.answers.append((record.at, event.step, event.attempt))
        await runtime.history.replay(execution)
        result.replays = True
    return result


async def _take_up(runtime: Runtime, execution: ExecutionId, at_work: asyncio.Event) -> None:
    """As a server does: recover, and go on claiming what nobody drives."""
    upkeep = runtime.upkeep(claiming=True)
    recovery = await runtime.recover()
    while True:
        # It may end before anybody looks whether it is active.
        if execution in recovery.resumed:
            at_work.set()
        await asyncio.sleep(0.01)
        with suppress(StrataError):
            recovery = await upkeep.round()


async def _to_its_end(
    runtime: Runtime, execution: ExecutionId, happened: Callable[[], bool], pause: float
) -> None:
    """Answer whatever it asks, as one who knows what `happened`; each question after a pause."""
    async with asyncio.timeout(PATIENCE):
        while (row := await runtime.wait(execution, 0.5)).status not in ENDED:
            asked = await _question(runtime, execution) if row.status == "waiting" else None
            if asked is None:
                await asyncio.sleep(0.005)
                continue
            await asyncio.sleep(pause)
            value: Any = ANSWER
            if asked.interrupted:
                value = {"happened": happened(), "output": {"n": asked.show["n"] + 1} if happened() else None}
            with suppress(InvalidState, NotFound):
                await runtime.controls.answer(execution, asked.step, value)


async def _question(runtime: Runtime, execution: ExecutionId) -> Asked | None:
    return next(iter(open_questions((await runtime.history.journal(execution)).events)), None)
