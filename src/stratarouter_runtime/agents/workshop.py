"""What agents need of the process that they are built in: handed over once, when they are built.

Must never know: kinds of agents, or how anything in it works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from msgspec import Struct

from stratarouter_runtime.agents.exchanges import Listener
from stratarouter_runtime.agents.failures import MAX_OUTPUT
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.ports import Agent, AgentCall, Cells, Clock, Groups

Colleagues: TypeAlias = Callable[[AgentName], Agent | None]
"""The agent of a name among those at hand, at the time of asking."""


def nobody(_name: AgentName) -> Agent | None:
    """No agent is at hand."""
    return None


class Partials(Protocol):
    """Hears of text that an agent says before its call is answered: nothing that will stand in a journal."""

    def heard(self, call: AgentCall, text: str, /) -> None:
        """A piece of text, as it comes."""
        ...

    async def close(self) -> None:
        """Let go of whatever is held."""
        ...


class Workshop(Struct, frozen=True):
    """One for all the agents of a project. A kind takes what it needs and leaves the rest.

    `cells` are where code runs behind walls, `commands` the programs that may be started there.
    `groups` are where calls wait for others, of agents that answer several together; None makes each alone.
    `listener` hears of each exchange with an agent, `partials` of text before it is whole. `max_output` is how
    many bytes of JSON an answer may have; a document may ask for less.
    """

    clock: Clock
    secrets: Secrets
    web: Web
    colleagues: Colleagues = nobody
    listener: Listener | None = None
    partials: Partials | None = None
    cells: Cells | None = None
    commands: tuple[str, ...] = ()
    max_output: int = MAX_OUTPUT
    groups: Groups | None = None

    async def close(self) -> None:
        """Let go of what the agents share; what is needed again is opened again."""
        for held in (self.cells, self.partials):
            if held is not None:
                await held.close()
