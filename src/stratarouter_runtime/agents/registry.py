"""The agents at hand, by name: what flows are linked against and calls are answered by.

Must never know: kinds of agents, or where they were found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.agents.circuits import Circuits
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ports import Agent, manner_of
from stratarouter_runtime.tcfp.registry import LinkableAgent

if TYPE_CHECKING:
    from stratarouter_runtime.agents.workshop import Workshop

INLINE: Final = "inline"
"""Of an agent without walls: in this process, or elsewhere altogether."""


@runtime_checkable
class Closing(Protocol):
    """An agent, or what agents share, that holds something which must be let go."""

    async def close(self) -> None:
        """Let go; it may be used again, and then takes it up anew."""
        ...


class RegistryStats(Struct, frozen=True):
    """Circuit breakers by their state, and how often one has opened."""

    breakers: Mapping[str, int]
    opened: int


class Registry(Mapping[str, Agent]):
    """Immutable, in the order of the names. Raises `LinkError` where two agents share a name.

    `holding` is what the agents share, and `workshop` what they were built with: the registry closes both
    with them.
    """

    def __init__(
        self,
        agents: Iterable[Agent] = (),
        *,
        holding: Iterable[Closing] = (),
        workshop: Workshop | None = None,
    ) -> None:
        self._holding = tuple(holding)
        self.workshop = workshop
        found: dict[str, Agent] = {}
        for agent in agents:
            if agent.name in found:
                raise LinkError(
                    f"two agents are named '{agent.name}'",
                    hint="rename one of them: a flow could not tell which it calls",
                )
            found[agent.name] = agent
        self._agents = dict(sorted(found.items()))

    @override
    def __getitem__(self, name: str) -> Agent:
        return self._agents[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._agents)

    @override
    def __len__(self) -> int:
        return len(self._agents)

    def linkable(self) -> dict[str, LinkableAgent]:
        """What the compiler needs to know of each agent."""
        return {
            name: LinkableAgent(agent.name, agent.signature, agent.digest, manner_of(agent))
            for name, agent in self._agents.items()
        }

    def isolation(self) -> dict[str, str]:
        """The level behind which each agent's code runs here, by its name."""
        return {name: getattr(agent, "isolation", INLINE) for name, agent in self._agents.items()}

    def stats(self) -> RegistryStats:
        """How the circuits of the agents stand, of those that have one."""
        found = [getattr(agent, "circuits", None) for agent in self._agents.values()]
        circuits = [each for each in found if isinstance(each, Circuits)]
        states: Counter[str] = Counter(state for each in circuits for state in _standing(each))
        return RegistryStats(dict(states), sum(each.opened for each in circuits))

    async def close(self) -> None:
        """Let go of what agents hold: connections, threads."""
        for held in (*self._agents.values(), *self._holding, self.workshop):
            if isinstance(held, Closing):
                await held.close()


def _standing(circuits: Circuits) -> list[str]:
    """How the circuits of an agent stand; one that nobody has trouble with is closed."""
    return list(Counter(circuits.states()).elements()) or ["closed"]
