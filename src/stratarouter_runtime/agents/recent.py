"""Agents that were built from what is kept, as many as fit: those that a tenant called last stay.

Must never know: how an agent is built, or where its document is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeAlias

from stratarouter_runtime.agents.fence import Fenced
from stratarouter_runtime.ids import AgentName, Digest, Tenant

MOST: Final = 1_000

_Version: TypeAlias = tuple[AgentName, Digest]


class Recent:
    """At most `most` agents of all tenants together; who has the most makes room for others."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._built: dict[Tenant, OrderedDict[_Version, Fenced]] = {}
        self._count = 0

    def get(self, tenant: Tenant, name: AgentName, digest: Digest) -> Fenced | None:
        """The version of an agent, if it is there."""
        mine = self._built.get(tenant)
        found = None if mine is None else mine.get((name, digest))
        if mine is not None and found is not None:
            mine.move_to_end((name, digest))
        return found

    async def put(self, tenant: Tenant, agent: Fenced) -> Fenced:
        """Keep this one; or the one that is there already, which whoever calls it has to share."""
        found = self.get(tenant, agent.name, agent.digest)
        if found is not None:
            return found
        made_room = self._make_room()
        self._built.setdefault(tenant, OrderedDict())[agent.name, agent.digest] = agent
        self._count += 1
        if made_room is not None:
            await made_room.retire()
        return agent

    async def close(self) -> None:
        """Let go of all, and of what they hold."""
        built, self._built, self._count = self._built, {}, 0
        for mine in built.values():
            for agent in mine.values():
                await agent.close()

    def _make_room(self) -> Fenced | None:
        """Where there is none left, the agent that goes: it is built again when it is needed."""
        if self._count < self._most:
            return None
        tenant = max(self._built, key=lambda each: len(self._built[each]))
        _, agent = self._built[tenant].popitem(last=False)
        if not self._built[tenant]:
            del self._built[tenant]
        self._count -= 1
        return agent
