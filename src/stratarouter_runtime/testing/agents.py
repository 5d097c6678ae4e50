"""Scripted agents behind the port, for tests that run the real driver.

Must never know: who calls them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from typing_extensions import override

from stratarouter_runtime.ports import Agent, AgentCall, AgentReply
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.tcfp.registry import LinkableAgent

Answer: TypeAlias = Callable[[AgentCall], Any]
"""What an agent says to a call: a value, a `Failure`, an `AgentReply`, or something to await for one."""


class ScriptedAgent(Agent):
    """Says what its script says; remembers the calls it got."""

    def __init__(self, like: LinkableAgent, script: Answer) -> None:
        self.name, self.signature, self.digest = like.name, like.signature, like.digest
        self._script = script
        self.calls: list[AgentCall] = []

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        self.calls.append(call)
        said = self._script(call)
        if asyncio.iscoroutine(said):
            said = await said
        match said:
            case AgentReply():
                return said
            case Failure():
                return AgentReply(failure=said)
            case _:
                return AgentReply(output=said)


def scripted(declared: Mapping[str, LinkableAgent], scripts: Mapping[str, Answer]) -> list[ScriptedAgent]:
    """An agent for each script; `declared` is what `plans.declared_agents` gives."""
    return [ScriptedAgent(declared[name], script) for name, script in scripts.items()]


def called(agents: Iterable[ScriptedAgent]) -> int:
    """How many calls they got, all together."""
    return sum(len(agent.calls) for agent in agents)
