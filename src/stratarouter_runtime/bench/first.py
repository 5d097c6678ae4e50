"""What the process measured by `start` does: open everything, run one execution, close."""

from __future__ import annotations

from pathlib import Path

from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import load
from stratarouter_runtime.wiring import application
from stratarouter_runtime.workshops import open_module


async def first(store: Path, source: str) -> None:
    """One execution of `source` on a new store."""
    registry = open_module("stratarouter_runtime.bench.agents")
    async with application(load(), registry, store=store) as app:
        plan = app.runtime.flows.compile(source)
        done = await app.runtime.execute(StartExecution(plan, {"n": 1}, FlowId(plan.name)))
        assert done.status == "completed", done
