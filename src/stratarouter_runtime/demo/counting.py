"""Agents that write down every call before they make it, so that nothing runs unseen.

Must never know: what the agents do, or what the notes are used for.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply


class Note(Struct, frozen=True):
    """One call that was begun: the key of its step, and the number of the attempt."""

    key: Digest
    attempt: int


class Notebook:
    """A file that processes append to; a line written to it outlives the process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, note: Note) -> None:
        """Add one line, in one write."""
        os.write(self._file, f"{note.key} {note.attempt}\n".encode())

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def read_notes(path: Path) -> list[Note]:
    """All notes, in the order of the calls. A line cut short by a kill was no call yet."""
    lines = path.read_text().splitlines() if path.exists() else []
    words = [line.split() for line in lines]
    return [Note(Digest(word[0]), int(word[1])) for word in words if len(word) == 2]


class CountedAgent(Agent):
    """Another agent, with a note before each call."""

    def __init__(self, agent: Agent, notebook: Notebook) -> None:
        self.name, self.signature, self.digest = agent.name, agent.signature, agent.digest
        self._agent = agent
        self._notebook = notebook

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        self._notebook.write(Note(call.key, call.attempt))
        return await self._agent.call(call)


def counted(registry: Registry, notebook: Notebook) -> Registry:
    """The same agents, counted."""
    agents = [CountedAgent(agent, notebook) for agent in registry.values()]
    return Registry(agents, holding=(registry,), workshop=registry.workshop)
