"""Flows as text -> plans: compiled, deployed under a name, and offered to flows that call them.

Must never know: HTTP, SQL, or how a plan is run.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

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


TENANTS: Final = 1_000
"""Tenants whose share is held in memory; of the one that asked longest ago it is read again."""


class Share(Struct, frozen=True):
    """What the flows of one tenant may use, as it was when somebody last looked.

    `deployed` and `registered` are flows and agents by name, `policy` what agents may be, `pin` the
    routing table that is promoted.
    """

    deployed: dict[str, LinkableAgent] = {}
    registered: dict[str, LinkableAgent] = {}
    policy: Policy = EVERYTHING
    pin: str = ""


_NOTHING: Final = Share()


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
        self._switch = switch
        self._catalog = catalog
        self._plans = plans
        self._scorer = scorer
        self._clock = clock
        self._given: dict[Tenant, dict[str, LinkableAgent]] = {}
        self._shares: OrderedDict[Tenant, Share] = OrderedDict()

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
        policy = self._share(tenant).policy
        manners = [linkable[agent.name].manner for agent in plan.agents]
        found = [fault for manner in manners if manner is not None for fault in faults(policy, manner)]
        if found:
            told = "; ".join(found)
            hint = "use other agents, or ask the operator: strata policy"
            raise PolicyRefused(f"the policy of tenant '{tenant}' does not allow {told}", hint=hint)

    def _router(self, tenant: Tenant) -> str:
        return self._scorer.identity + self._share(tenant).pin

    def _linkable(self, tenant: Tenant) -> dict[str, LinkableAgent]:
        share = self._share(tenant)
        return share.registered | self.project.linkable() | self._given.get(tenant, {}) | share.deployed

    def _share(self, tenant: Tenant) -> Share:
        return self._shares.get(tenant, _NOTHING)

    def _hold(self, tenant: Tenant, share: Share) -> None:
        self._shares[tenant] = share
        self._shares.move_to_end(tenant)
        if len(self._shares) > TENANTS:
            self._shares.popitem(last=False)

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
        share = self._share(tenant)
        self._hold(tenant, replace(share, deployed={**share.deployed, flow: _callable(flow, plan)}))
        return deployed, plan

    async def retire(self, tenant: Tenant, flow: FlowId, *, by: str = "") -> None:
        """Deploy a flow no longer; what runs goes on. Raises `NotFound`."""
        if not await self._catalog.retire(tenant, flow, at=self._clock.now(), by=by):
            raise _unknown(flow)
        share = self._share(tenant)
        left = {name: agent for name, agent in share.deployed.items() if name != flow}
        self._hold(tenant, replace(share, deployed=left))
        self._given.get(tenant, {}).pop(flow, None)

    async def offer(self, plan: Plan, name: str | None = None, tenant: Tenant = LOCAL) -> None:
        """Let flows of a tenant that are compiled here from now on call this one, deployed or not.

        It is called by `name`, or by its own; what is deployed under that name comes before it.
        """
        await self._plans.keep(plan)
        agent = _callable(name or plan.name, plan)
        given = self._given.get(tenant, {})
        self._given[tenant] = {**given, agent.name: agent}

    async def offer_deployed(self, tenant: Tenant = LOCAL) -> None:
        """Let flows of a tenant call what is deployed and registered for it, by whatever process, and no more.

        From now on they are compiled to route by the table that is promoted now.
        """
        roster, policies, switch = self._roster, self._policies, self._switch
        share = Share(
            deployed=await self._deployed(tenant),
            registered={} if roster is None else await roster.linkable(tenant),
            policy=EVERYTHING if policies is None else await policies.policy(tenant),
            pin="" if switch is None else await switch.pin(tenant),
        )
        self._hold(tenant, share)

    async def _deployed(self, tenant: Tenant) -> dict[str, LinkableAgent]:
        known, found = self._share(tenant).deployed, dict[str, LinkableAgent]()
        for flow, digest in (await self._catalog.deployed_plans(tenant)).items():
            agent = known.get(flow)
            if agent is None or agent.digest != digest:
                agent = _callable(flow, await self._plans.get(digest))
            found[flow] = agent
        return found

    async def deployed(self, tenant: Tenant, flow: FlowId) -> tuple[Deployed, Plan]:
        """The version of `flow` that runs now. Raises `NotFound`."""
        deployed = await self._catalog.deployed(tenant, flow)
        if deployed is None:
            raise _unknown(flow)
        return deployed, await self._plans.get(deployed.plan)

    def names(self, tenant: Tenant) -> list[str]:
        """The agents and flows that flows of a tenant can name, sorted."""
        return sorted(self._linkable(tenant))

    async def page(self, tenant: Tenant, after: str, limit: int) -> list[Deployed]:
        """What is deployed for a tenant behind a name, by name: so many at most."""
        return await self._catalog.flows(tenant, after, limit)

    def at_hand(self, digest: Digest) -> Plan | None:
        """The plan of this digest where it is in memory: that of any execution at work here."""
        return self._plans.at_hand(digest)

    async def plan(self, digest: Digest) -> Plan:
        """The plan of this digest, as executions have it. Raises `NotFound`."""
        return await self._plans.get(digest)


def _callable(name: str, plan: Plan) -> LinkableAgent:
    """A flow as others may call it."""
    return LinkableAgent(AgentName(name), plan.signature, plan.digest)


def _unknown(flow: FlowId) -> NotFound:
    return NotFound(f"no flow '{flow}' is deployed", hint=f"deploy it: PUT /api/v1/workflows/{flow}")
