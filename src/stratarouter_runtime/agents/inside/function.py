"""A function of the operator's project, imported in the worker as the server imports it.

Must never know: which walls stand around.
"""

from __future__ import annotations

import asyncio
import sys
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratarouter_runtime.agents.discovery import definitions, load_file
from stratarouter_runtime.builder.agents import AgentError

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Answer, Ask


def load() -> None:
    """What projects import is imported by their workers: it may start threads, which do not fork."""


def start(setup: Any) -> Answer:
    """Import `setup.file` or `setup.module` with `setup.path`; its agent `setup.name` answers."""
    sys.path[:] = setup["path"]
    if setup["file"]:
        module = load_file(Path(setup["file"]))
    else:
        import importlib  # noqa: PLC0415 - one of two ways

        module = importlib.import_module(setup["module"])
    found = {each.name: each for each in definitions(module)}.get(setup["name"])
    if found is None:
        raise AgentError("agent.unavailable", f"the agent '{setup['name']}' is not there any more")
    definition = found
    runner = asyncio.Runner()

    def answer(ask: Ask) -> Any:
        output = definition.call_with(ask.input)
        return runner.run(_awaited(output)) if isawaitable(output) else output

    return answer


async def _awaited(output: Any) -> Any:
    return await output
