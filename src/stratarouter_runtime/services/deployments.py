"""Flows as text -> plans: compiled, deployed under a name, and offered to flows that call them.

Must never know: HTTP, SQL, or how a plan is run.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.errors import InvalidFlow, NotFound, PolicyRefused
from stratarouter_runtime.ids import LOCAL, AgentName
from stratarouter_runtime.ports import Deployed
from stratarouter_runtime.tcfp.compiler import compile_flow
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.registry import LinkableAgent
from stratarouter_runtime.tcfp.validator import Checked, validate
from stratarouter_runtime.tenancy.policies import EVERYTHING, Policy, faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stratarouter_runtime.agents.registry import Registry
    from stratarouter_runtime.agents.roster import Roster
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ids import Digest, FlowId, Tenant
    from stratarouter_runtime.ports import Catalog, Clock, Policies, Scorer, Switch
    from stratarouter_runtime.tcfp.diagnostics import Diagnostic
    from stratarouter_runtime.tcfp.plan import Plan
    from stratarouter_runtime.tcfp.text import Kind


class Examined(Struct, frozen=True):
    """What the checker says of a flow: its plan where nothing is wrong, and every diagnostic in order."""

    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...]


class Deployments:
    """The flows of this process. Plans made here are linked to the agents and flows at hand."""

    def __init__(
        self,
        catalog: Catalog,
        plans: Plans,
        registry: Registry,
        scorer: Scorer,
        clock: Clock,
        switch: Switch | None = None,
        roster: Roster | None = None,
        policies: Policies | None = None,
    ) -> None:
        self.project = registry
        self._roster = roster
        self._policies = policies
        self._held: dict[Tenant, Policy] = {}
        self._switch = switch
        self._catalog = catalog
        self._plans = plans
        self._registry = registry
        self._scorer = scorer
        self._clock = clock
        self._offered: dict[Tenant, dict[str, LinkableAgent]] = {}
        self._registered: dict[Tenant, dict[str, LinkableAgent]] = {}
        self._pins: dict[Tenant, str] = {}

    def compile(self, source: str | bytes, *, kind: Kind | None = None, tenant: Tenant = LOCAL) -> Plan:
        """A flow as text -> its plan, linked to the agents at hand; without a `kind`, as `load` guesses.

        Raises `InvalidFlow` with every diagnostic, `LinkError`, `PolicyRefused`.
        """
        loaded = load(source, kind=kind)
        if loaded.flow is None:
            raise InvalidFlow("the document is no flow", diagnostics=loaded.diagnostics)
        linkable = self._linkable(tenant)
        return self._compile(validate(loaded.flow, linkable), linkable, tenant)

    def examine(self, source: str | bytes, *, kind: Kind | None = None, tenant: Tenant = LOCAL) -> Examined:
        """Everything that can be said of a flow as text, and its plan where it has one.

        Raises `LinkError`, `PolicyRefused`.
        """
        loaded = load(source, kind=kind)
        if loaded.flow is None:
            return Examined(None, tuple(loaded.diagnostics))
        linkable = self._linkable(tenant)
        checked = validate(loaded.flow, linkable)
        found = {*loaded.diagnostics, *checked.diagnostics}
        ordered = tuple(sorted(found, key=lambda one: (one.line, one.column, one.code)))
        return Examined(self._compile(checked, linkable, tenant) if checked.ok else None, ordered)

    def _compile(self, checked: Checked, linkable: Mapping[str, LinkableAgent], tenant: Tenant) -> Plan:
        plan = compile_flow(checked, linkable, self._router(tenant) if checked.routes else "")
        self._check_policy(plan, linkable, tenant)
        return plan

    def _check_policy(self, plan: Plan, linkable: Mapping[str, LinkableAgent], tenant: Tenant) -> None:
        """Refuse a flow whose agents are none that its tenant may use. Raises `PolicyRefused`."""
        policy = self._held.get(tenant, EVERYTHING)
        manners = [linkable[agent.name].manner for agent in plan.agents]
        found = [fault for manner in manners if manner is not None for fault in faults(policy, manner)]
        if found:
            told = "; ".join(found)
            hint = "use other agents, or ask the operator: strata policy"
            raise PolicyRefused(f"the policy of tenant '{tenant}' does not allow {told}", hint=hint)

    def _router(self, tenant: Tenant) -> str:
        return self._scorer.identity + self._pins.get(tenant, "")

    def _linkable(self, tenant: Tenant) -> dict[str, LinkableAgent]:
        guests = self._registered.get(tenant, {})
        return guests | self._registry.linkable() | self._offered.get(tenant, {})

    async def deploy(
        self,
        tenant: Tenant,
        flow: FlowId,
        source: str,
        *,
        kind: Kind | None = None,
        by: str = "",
        quota: int | None = None,
    ) -> tuple[Deployed, Plan]:
        """Make this text the version of `flow` that new executions run.

        `by` is who does it, for the audit; `quota` how many workflows the tenant may have. Raises as
        `compile`, and `WorkflowQuota`. Compiles in a thread: a large flow, or an encoder that loads,
        holds up nobody else.
        """
        await self.offer_deployed(tenant)
        plan = await asyncio.to_thread(self.compile, source, kind=kind, tenant=tenant)
        deployed = Deployed(flow, tenant, plan.digest, source, self._clock.now())
        await self._plans.keep(plan)
        await self._catalog.deploy(deployed, by=by, quota=quota)
        await self.offer(plan, flow, tenant)
        return deployed, plan

    async def retire(self, tenant: Tenant, flow: FlowId, *, by: str = "") -> None:
        """Deploy a flow no longer; what runs goes on. Raises `NotFound`."""
        if not await self._catalog.retire(tenant, flow, at=self._clock.now(), by=by):
            raise _unknown(flow)
        self._offered.get(tenant, {}).pop(flow, None)

    async def offer(self, plan: Plan, name: str | None = None, tenant: Tenant = LOCAL) -> None:
        """Let flows of a tenant that are compiled from now on call this one, by `name` or by its own."""
        await self._plans.keep(plan)
        agent = LinkableAgent(AgentName(name or plan.name), plan.signature, plan.digest)
        self._offered.setdefault(tenant, {})[agent.name] = agent

    async def offer_deployed(self, tenant: Tenant = LOCAL) -> None:
        """Let flows of a tenant call what is deployed and registered for it, by whatever process.

        From now on they are compiled to route by the table that is promoted now.
        """
        if self._roster is not None:
            self._registered[tenant] = await self._roster.linkable(tenant)
        if self._policies is not None:
            self._held[tenant] = await self._policies.policy(tenant)
        if self._switch is not None:
            self._pins[tenant] = await self._switch.pin(tenant)
        for deployed in await self._catalog.flows(tenant):
            known = self._offered.get(tenant, {}).get(deployed.flow)
            if known is None or known.digest != deployed.plan:
                await self.offer(await self._plans.get(deployed.plan), deployed.flow, tenant)

    async def deployed(self, tenant: Tenant, flow: FlowId) -> tuple[Deployed, Plan]:
        """The version of `flow` that runs now. Raises `NotFound`."""
        deployed = await self._catalog.deployed(tenant, flow)
        if deployed is None:
            raise _unknown(flow)
        return deployed, await self._plans.get(deployed.plan)

    def names(self, tenant: Tenant) -> list[str]:
        """The agents and flows that flows of a tenant can name, sorted."""
        return sorted(self._linkable(tenant))

    async def all(self, tenant: Tenant) -> list[Deployed]:
        """What is deployed for a tenant, by name."""
        return await self._catalog.flows(tenant)

    def at_hand(self, digest: Digest) -> Plan | None:
        """The plan of this digest where it is in memory: that of any execution at work here."""
        return self._plans.at_hand(digest)

    async def plan(self, digest: Digest) -> Plan:
        """The plan of this digest, as executions have it. Raises `NotFound`."""
        return await self._plans.get(digest)


def _unknown(flow: FlowId) -> NotFound:
    return NotFound(f"no flow '{flow}' is deployed", hint=f"deploy it: PUT /api/v1/workflows/{flow}")
