"""A Python function of the operator's in a process of its own: it may compute, crash, or leak.

What it is protected from is accident, not attack: it runs as another user where the server is
root, with limits and an empty environment, but sees the files that this user sees. Must never
know: where workers come from.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
from msgspec import Struct

from stratarouter_runtime.agents.confined import MIB, ConfinedAgent, seconds_of
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.builder.agents import AgentDefinition
from stratarouter_runtime.ports import Cell
from stratarouter_runtime.tcfp.digests import agent_digest


class Origin(Struct, frozen=True):
    """Where a function is imported from: a file, or else a module by its name."""

    file: Path | None = None
    module: str = ""


def process_agent(definition: AgentDefinition, origin: Origin, workshop: Workshop) -> ConfinedAgent:
    """The agent; its first worker starts with the first call. Raises `LinkError`."""
    signature = definition.signature
    # Where a function runs does not change what it does: the digest is that of the function.
    digest = agent_digest(definition.name, "python", definition.version, signature)
    setup = {
        "file": str(origin.file.resolve()) if origin.file is not None else "",
        "module": origin.module,
        "name": definition.name,
        "path": [str(Path(each).resolve()) for each in sys.path],
    }
    seconds = seconds_of(signature)
    cell = Cell(
        "process",
        "stratarouter_runtime.agents.inside.function",
        digest,
        orjson.dumps(setup),
        cpu=signature.needs.cpu,
        memory=signature.needs.memory_mb * MIB,
        disk=2**40,  # the files of the operator are as large as they are
        seconds=seconds,
        cpu_seconds=seconds,
    )
    return ConfinedAgent(definition.name, signature, digest, cell, workshop.cells, cap=workshop.max_output)
