"""What metrics and logs cost: executions with everything told of them that a server tells, and with nothing.

Must never know: what is told.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.bench.engine import AT_ONCE, many
from stratarouter_runtime.bench.flows import chain
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.observability.logs import open_log
from stratarouter_runtime.settings import load
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.wiring import application
from stratarouter_runtime.workshops import open_module

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.plan import Plan
    from stratarouter_runtime.wiring import Application

ROUNDS: Final = 7


async def telling(folder: Path, executions: int = 600) -> Measure:
    """Executions for a second of the processor where they are told of, as a share of those where they are not.

    Rounds of either kind take turns, and the best of each counts: what the machine does besides falls on both.
    """
    registry = open_module("stratarouter_runtime.bench.agents")
    with (folder / "told.log").open("wb") as file:  # noqa: ASYNC230 - nobody else is served
        async with application(load(), registry, store=folder / "told.db") as app:
            app.observatory.write_lines(open_log(file, SystemClock(), "info", "json"), steps=False)
            plan = app.runtime.flows.compile(chain(1).replace("stable: true", "cache: never"))
            await many(app, plan, executions, AT_ONCE)
            told, quiet = float("inf"), float("inf")
            for _ in range(ROUNDS):
                quiet = min(quiet, await _quiet(app, plan, executions))
                told = min(told, await _told(app, plan, executions))
    return Measure(
        "executions with metrics and logs, of those without",
        quiet / told * 100,
        "%",
        95,
        "more",
        100.0,
        "none told",
    )


async def _told(app: Application, plan: Plan, executions: int) -> float:
    began = process_time()
    await many(app, plan, executions, AT_ONCE)
    await app.observatory.metrics.scrape()
    return process_time() - began


async def _quiet(app: Application, plan: Plan, executions: int) -> float:
    app.observers.remove(app.observatory.telemetry)
    try:
        began = process_time()
        await many(app, plan, executions, AT_ONCE)
        return process_time() - began
    finally:
        app.observers.add(app.observatory.telemetry)
