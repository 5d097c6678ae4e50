"""What metrics and logs cost: executions of which all is told that a server tells, and of which nothing is.

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
from stratarouter_runtime.tally import quantile
from stratarouter_runtime.wiring import application
from stratarouter_runtime.workshops import open_module

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.plan import Plan
    from stratarouter_runtime.wiring import Application

ROUNDS: Final = 80
EXECUTIONS: Final = 100
"""Of a round. Rounds are short and take turns: what the machine does besides falls on either kind."""


async def telling(folder: Path, whole: float) -> Measure:
    """Microseconds of the processor that one one-step execution takes longer because it is told of.

    `whole` is what it takes over HTTP. The quickest quarter of the rounds decides.
    """
    registry = open_module("stratarouter_runtime.bench.agents")
    told: list[float] = []
    quiet: list[float] = []
    with (folder / "told.log").open("wb") as file:
        async with application(load(), registry, store=folder / "told.db") as app:
            app.observatory.write_lines(open_log(file, SystemClock(), "info", "json"), steps=False)
            plan = app.runtime.flows.compile(chain(1).replace("stable: true", "cache: never"))
            for _ in range(ROUNDS):
                told.append(await _round(app, plan))
                app.observers.remove(app.observatory.telemetry)
                quiet.append(await _round(app, plan))
                app.observers.add(app.observatory.telemetry)
    longer = max(0.0, quantile(told, 0.25) - quantile(quiet, 0.25))
    name = "metrics and logs of an execution, processor time"
    return Measure(name, longer, "µs", 0.05 * whole, "less", whole, "all of it over HTTP")


async def _round(app: Application, plan: Plan) -> float:
    began = process_time()
    await many(app, plan, EXECUTIONS, AT_ONCE)
    return (process_time() - began) / EXECUTIONS * 1e6
