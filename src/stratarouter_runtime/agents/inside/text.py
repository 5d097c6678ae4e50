"""Python text in a whole interpreter: a module that defines `run`, called with the fields of the input.

The module is made once and asked many times, so what it keeps in its globals stays between calls
of one worker. Must never know: which walls stand around.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded from the call, so that it is no entropy
from types import ModuleType
from typing import TYPE_CHECKING, Any

from stratarouter_runtime.builder.agents import AgentError

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Answer, Ask


def load() -> None:
    """Nothing takes long."""


def start(setup: Any) -> Answer:
    """Execute the text of `setup.code`; its function `run` answers."""
    module = ModuleType("agent")
    exec(compile(setup["code"], "<agent>", "exec"), module.__dict__)  # noqa: S102 - what the box is for
    run = module.__dict__.get("run")
    if not callable(run):
        raise AgentError("agent.unavailable", "its text defines no function 'run'")

    def answer(ask: Ask) -> Any:
        random.seed(ask.seed)
        return run(**ask.input)

    return answer
