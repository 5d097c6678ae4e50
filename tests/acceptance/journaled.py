"""Every attack as a step of an execution, and what the journal holds of it: `python -m` this."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec.structs import replace

from stratarouter_runtime.agents.confined import ConfinedAgent
from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.ids import AgentName, Digest, FlowId
from stratarouter_runtime.ports import Cells
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.sandbox.attack import Target, prey, sibling, targets
from stratarouter_runtime.sandbox.probes import PROBES, WORKING
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.state.events import Failed, Finished, Returned
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.types import JSON, STRING, record
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import open_cells

FLOW: Final = """tcfp: "1.0"
flow: attack
agents: [{agent}]
in: {{facts: json}}
out: json
do:
  - id: a
    call: {agent}
    with: {{probe: {probe}, facts: =facts}}
return: =a
"""
SIGNATURE: Final = Signature(record({"probe": STRING, "facts": JSON}), JSON, effect="idempotent")


def main() -> None:
    """Print what was recorded of each attack, as JSON."""
    sys.stdout.write(json.dumps(asyncio.run(_all())))


async def _all() -> list[dict[str, Any]]:
    claiming = [target for target in targets() if target.cell.level != "process"]
    attacks = [(target, probe) for target in claiming for probe in PROBES if probe not in WORKING]
    async with _application(attacks) as (app, cells):
        with prey() as facts:
            facts["sibling"] = await sibling(cells)
            return [await _attacked(app, target, probe, facts) for target, probe in attacks]


@asynccontextmanager
async def _application(attacks: list[tuple[Target, str]]) -> AsyncIterator[tuple[Application, Cells]]:
    cells = open_cells()
    try:
        registry = Registry(_agent(target, probe, cells) for target, probe in attacks)
        async with application(Settings(), registry, store=":memory:") as app:
            yield app, cells
    finally:
        await cells.close()


def _agent(target: Target, probe: str, cells: Cells) -> ConfinedAgent:
    name = _name(target, probe)
    cell = replace(target.cell, digest=Digest(name))
    return ConfinedAgent(name, SIGNATURE, Digest(name.encode().hex().ljust(64, "0")), cell, cells)


def _name(target: Target, probe: str) -> AgentName:
    return AgentName(f"{probe}_{targets().index(target)}")


async def _attacked(app: Application, target: Target, probe: str, facts: dict[str, Any]) -> dict[str, Any]:
    plan = app.runtime.flows.compile(FLOW.format(agent=_name(target, probe), probe=probe))
    ended = await app.runtime.execute(
        StartExecution(plan=plan, input={"facts": facts}, flow=FlowId("attack"))
    )
    journal = await app.runtime.history.journal(ended.id)
    [told] = [each for each in journal.events if isinstance(each, Failed | Returned)]
    [last] = [each for each in journal.events if isinstance(each, Finished)]
    return {
        "level": target.name,
        "probe": probe,
        "isolation": told.isolation,
        "kind": told.failure.kind if isinstance(told, Failed) else "",
        "ended": last.status,
        "reproducible": (await app.runtime.history.replay(ended.id)).reproducible,
    }


if __name__ == "__main__":
    main()
