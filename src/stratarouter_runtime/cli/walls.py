"""What `strata doctor` says of walls around agents, and what `--attack` finds out about them.

Must never know: how walls are built.
"""

from __future__ import annotations

import os
from collections import Counter

from stratarouter_runtime.cli import output
from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.attack import Attempt, attack
from stratarouter_runtime.sandbox.walls import BOXED
from stratarouter_runtime.workshops import open_cells


def sandbox() -> tuple[str, bool, str]:
    """What it says, whether all is there, and a hint: each feature by its name, tried and not assumed."""
    found = features.found()
    there = [name for name, missing in found.items() if not missing]
    missing = [f"{name} is missing ({why})" for name, why in found.items() if why]
    who = "as root, agents as another user" if os.geteuid() == 0 else "as an ordinary user"
    says = f"{who}; {', '.join(there)}{''.join(f'; {each}' for each in missing)}"
    lacking = [name for name in BOXED if found[name]]
    hint = f"agents behind walls are refused; allow it by name: STRATA_SANDBOX_WITHOUT={','.join(lacking)}"
    return says, not lacking, hint if lacking else ""


async def assault() -> tuple[Attempt, ...]:
    """Every attempt, with what became of it."""
    cells = open_cells()
    try:
        return tuple([each async for each in attack(cells)])
    finally:
        await cells.close()


def table(attempts: tuple[Attempt, ...]) -> str:
    """One line an attempt, and a count at the end."""
    rows = [(each.level, each.probe, _verdict(each), each.how[:90]) for each in attempts]
    counts = Counter(_verdict(each) for each in attempts)
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    return f"{output.table(('level', 'probe', '', 'how it ended'), rows)}\n\n{told}"


def _verdict(each: Attempt) -> str:
    if not each.promised:
        return "open" if each.how.startswith("got") else "stopped"
    if not each.held:
        return "BREACH"
    return "works" if each.how.startswith("got") else "stopped"
