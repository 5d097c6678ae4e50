"""Agents that are registered while the runtime runs: kept as documents, one set for each tenant.

A version is known by its digest and stays findable as long as something may call it, so that an
execution goes on with the agents it was compiled with, whatever is registered under the name since. Must never know: HTTP, or
where documents are kept.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.agents.assembling import assemble
from stratarouter_runtime.agents.declared import read_one
from stratarouter_runtime.agents.documents import KIND, VERSIONS, Document, read_document
from stratarouter_runtime.agents.kinds import WALLED, Using
from stratarouter_runtime.agents.pruning import prune
from stratarouter_runtime.agents.recent import Recent
from stratarouter_runtime.errors import (
    AgentQuota,
    Conflict,
    InvalidInput,
    LimitExceeded,
    LinkError,
    NotFound,
    PolicyRefused,
)
from stratarouter_runtime.ids import AgentName, Digest, Tenant
from stratarouter_runtime.ports import manner_of
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.registry import LinkableAgent
from stratarouter_runtime.tcfp.text import Kind
from stratarouter_runtime.tenancy.policies import EVERYTHING, Manner, faults

if TYPE_CHECKING:
    from stratarouter_runtime.agents.fence import Fenced
    from stratarouter_runtime.agents.kinds import Blueprint
    from stratarouter_runtime.agents.registry import Registry
    from stratarouter_runtime.agents.workshop import Workshop
    from stratarouter_runtime.ports import Agent, Kept, Policies, Shelf

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_VERSIONS_EACH: Final = 100
"""Versions that are kept for each agent a tenant may have, taken together."""
_ASK: Final = "use another agent, or ask the operator: strata policy"
_PAGE: Final = 200

Linked: TypeAlias = Callable[[Tenant], Awaitable[AbstractSet[Digest]]]
"""The versions of agents that flows and executions of a tenant may still call. May raise `StoreError`."""


class Registered(Struct, frozen=True):
    """An agent as it is registered. Times are microseconds since the epoch."""

    name: AgentName
    version: int
    kind: str
    digest: Digest
    signature: Signature
    source: str
    created: int
    updated: int
    manner: Manner


class Roster:
    """Belongs to one event loop. `workshop` is for guests: it permits what an operator lets callers use."""

    def __init__(
        self,
        shelf: Shelf,
        workshop: Workshop,
        registry: Registry,
        policies: Policies | None = None,
        linked: Linked | None = None,
    ) -> None:
        self._shelf = shelf
        self._policies = policies
        self._workshop = workshop
        self._registry = registry
        self._linked = linked
        self._recent = Recent()

    async def register(
        self,
        tenant: Tenant,
        name: AgentName,
        source: str,
        notation: Kind,
        *,
        by: str = "",
        expected: int | None = None,
        quota: int | None = None,
    ) -> Registered:
        """Make this document the version of the agent that flows are linked to from now on.

        `expected` is the version it replaces, 0 for none; `quota` how many agents the tenant may have.
        Raises `InvalidAgent` with every mistake, `LinkError`, `Conflict`, `PolicyRefused`, `AgentQuota`,
        `InvalidInput` for a name that cannot be one.
        """
        self._check_name(name)
        # In a thread: a large document holds up nobody else.
        kind, blueprint = await asyncio.to_thread(read_one, source, notation, name, self._workshop.secrets)
        if kind in WALLED and self._workshop.cells is not None:
            await self._workshop.cells.prepare()
        uses = await self._current(tenant, blueprint)
        agent = self._assembled(blueprint, uses)
        await self._check_policy(tenant, agent)
        document = Document(
            source, notation, kind, agent.digest, {one: used.digest for one, used in uses.items()}
        )
        body = msgspec.json.encode(document)
        now = self._workshop.clock.now()
        try:  # the version first: what is in force can always be found by its digest
            await self._keep_version(tenant, f"{name}@{agent.digest}", body, by, quota)
            await self._shelf.put(tenant, KIND, name, body, at=now, by=by, expected=expected, quota=quota)
        except LimitExceeded as full:
            raise AgentQuota(full.message, hint="remove agents that nothing uses") from None
        await self._recent.put(tenant, agent)
        return await self.find(tenant, name)

    async def _keep_version(self, tenant: Tenant, name: str, body: bytes, by: str, quota: int | None) -> None:
        """Keep a version; where there are too many, in place of some that nothing can call any more."""
        now, most = self._workshop.clock.now(), None if quota is None else quota * _VERSIONS_EACH
        try:
            await self._shelf.put(tenant, VERSIONS, name, body, at=now, by=by, quota=most)
        except LimitExceeded:
            if self._linked is None:
                raise
            await prune(self._shelf, tenant, await self._linked(tenant), at=now, by=by)
            await self._shelf.put(tenant, VERSIONS, name, body, at=now, by=by, quota=most)

    async def find(self, tenant: Tenant, name: AgentName) -> Registered:
        """The version in force. Raises `NotFound`."""
        kept = await self._shelf.get(tenant, KIND, name)
        if kept is None:
            raise NotFound(f"no agent '{name}' is registered", hint=f"register it: PUT /api/v1/agents/{name}")
        found = await self._registered(kept)
        if found is None:
            raise LinkError(f"the agent '{name}' can no longer be built", hint="register it again")
        return found

    async def all(self, tenant: Tenant) -> list[Registered]:
        """All of a tenant that can be used, by name."""
        found: list[Registered] = []
        page = await self._shelf.all(tenant, KIND, limit=_PAGE)
        while page:
            found += [one for kept in page if (one := await self._registered(kept)) is not None]
            page = await self._shelf.all(tenant, KIND, after=page[-1].name, limit=_PAGE)
        return found

    async def remove(
        self, tenant: Tenant, name: AgentName, *, by: str = "", expected: int | None = None
    ) -> None:
        """Let no flow be linked to it any more; executions that are, go on. Raises `NotFound`, `Conflict`."""
        now = self._workshop.clock.now()
        if not await self._shelf.remove(tenant, KIND, name, at=now, by=by, expected=expected):
            raise NotFound(f"no agent '{name}' is registered", hint="list them: GET /api/v1/agents")

    async def linkable(self, tenant: Tenant) -> dict[str, LinkableAgent]:
        """What flows of a tenant can be linked to."""
        return {
            agent.name: LinkableAgent(agent.name, agent.signature, agent.digest, agent.manner)
            for agent in await self.all(tenant)
        }

    async def version(self, tenant: Tenant, name: AgentName, digest: Digest) -> Agent | None:
        """The agent of this name and digest, whether or not it is still in force; None where it is not kept."""
        agent = self._recent.get(tenant, name, digest)
        if agent is not None:
            return agent
        kept = await self._shelf.get(tenant, VERSIONS, f"{name}@{digest}")
        agent = None if kept is None else await self._rebuilt(tenant, name, read_document(kept))
        return None if agent is None else await self._recent.put(tenant, agent)

    async def close(self) -> None:
        """Let go of what agents hold."""
        await self._recent.close()

    async def _check_policy(self, tenant: Tenant, agent: Agent) -> None:
        """Refuse an agent that no flow of the tenant could be linked to. Raises `PolicyRefused`."""
        policy = EVERYTHING if self._policies is None else await self._policies.policy(tenant)
        found = list(faults(policy, manner_of(agent)))
        if found:
            told = "; ".join(found)
            raise PolicyRefused(f"the policy of tenant '{tenant}' does not allow {told}", hint=_ASK)

    def _check_name(self, name: AgentName) -> None:
        if not _NAME.fullmatch(name):
            hint = "1 to 64 of A-Z, a-z, 0-9, '_', '.' and '-', the first a letter or '_'"
            raise InvalidInput(f"{name[:80]!r} cannot be the name of an agent", hint=hint)
        if name in self._registry:
            raise Conflict(
                f"the agent '{name}' belongs to the project of this server", hint="choose another name"
            )

    async def _registered(self, kept: Kept) -> Registered | None:
        """An agent in force; None where it can no longer be built."""
        document, name = read_document(kept), AgentName(kept.name)
        agent = await self.version(kept.tenant, name, document.digest)
        if agent is None:
            return None
        return Registered(
            name=name,
            version=kept.version,
            kind=document.kind,
            digest=document.digest,
            signature=agent.signature,
            source=document.source,
            created=kept.created,
            updated=kept.updated,
            manner=manner_of(agent),
        )

    async def _rebuilt(self, tenant: Tenant, name: AgentName, document: Document) -> Fenced | None:
        """The agent as it was; None where what it uses is no longer what it was."""
        uses: dict[AgentName, Agent] = {}
        for used, digest in document.uses.items():
            agent = self._registry.get(used)
            if agent is None or agent.digest != digest:
                agent = await self.version(tenant, used, digest)
            if agent is None:
                return None
            uses[used] = agent
        # Whether secrets can be resolved is asked again when they are needed.
        _, blueprint = await asyncio.to_thread(read_one, document.source, document.notation, name, None)
        agent = self._assembled(blueprint, uses)
        return agent if agent.digest == document.digest else None

    async def _current(self, tenant: Tenant, blueprint: Blueprint) -> dict[AgentName, Agent]:
        """The agents that a new one uses, as they are in force; those that are missing are left out."""
        found = {}
        for name in blueprint.uses if isinstance(blueprint, Using) else ():
            agent = self._registry.get(name)
            kept = None if agent is not None else await self._shelf.get(tenant, KIND, name)
            if kept is not None:
                agent = await self.version(tenant, name, read_document(kept).digest)
            if agent is not None:
                found[name] = agent
        return found

    def _assembled(self, blueprint: Blueprint, uses: dict[AgentName, Agent]) -> Fenced:
        (agent,) = assemble([], [blueprint], replace(self._workshop, colleagues=uses.get))
        return agent
