"""Which versions of agents something may still call: flows that are deployed, and executions that have not ended.

Must never know: agents, or who registered them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.tcfp.documents import linked

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Digest, Tenant
    from stratarouter_runtime.ports import Store


async def linked_agents(store: Store, tenant: Tenant) -> set[Digest]:
    """The digests that plans of a tenant are linked to, also through flows which these call. Raises `StoreError`."""
    plans = set((await store.deployed_plans(tenant)).values())
    plans |= {execution.plan for execution in await store.unfinished() if execution.tenant == tenant}
    found: set[Digest] = set()
    while plans:
        document = await store.plan(plans.pop())
        new = set() if document is None else linked(document) - found
        found |= new
        plans |= new  # a flow that is called is an agent whose digest is that of its plan
    return found
