"""What a tenant has used of its limits, what is left, and what its executions came to.

Must never know: who asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.tenancy.windows import CONCURRENT, DAILY, DAY, MINUTE, REQUESTS, day_of, next_day

if TYPE_CHECKING:
    from stratarouter_runtime.ids import FlowId, Tenant
    from stratarouter_runtime.limits.tiers import Tiers
    from stratarouter_runtime.ports import Store
    from stratarouter_runtime.tenancy.quotas import Totals


class Limit(Struct, frozen=True):
    """One limit: `limit` and `left` are None where there is none; `resets` is when time gives it back."""

    name: str
    used: int
    limit: int | None
    left: int | None
    resets: int | None = None


class Report(Struct, frozen=True):
    """What a tenant has used. `today` is since midnight UTC, `ever` of all executions that are kept."""

    tenant: Tenant
    tier: str
    at: int
    limits: tuple[Limit, ...]
    today: Totals
    ever: Totals


async def report(store: Store, tiers: Tiers, tenant: Tenant, now: int, flow: FlowId | None = None) -> Report:
    """What a tenant has used, at this moment; totals are of one flow where it is named."""
    tier, quotas = await tiers.of(tenant), store.quotas
    workflows = len(await store.deployed_plans(tenant))
    limits = (
        _limit(CONCURRENT, await quotas.active(tenant), tier.concurrent),
        _limit(DAILY, await quotas.started(tenant, now), tier.daily, next_day(now)),
        _limit("workflows", workflows, tier.workflows),
        _limit(REQUESTS, await quotas.requests(tenant, now), tier.requests, now + MINUTE),
    )
    return Report(tenant, tier.name, now, limits, *await totals(store, tenant, now, flow))


async def totals(store: Store, tenant: Tenant, now: int, flow: FlowId | None = None) -> tuple[Totals, Totals]:
    """What executions came to since midnight UTC, and all that are kept; of one flow where it is named."""
    today = await store.quotas.totals(tenant, flow, day_of(now) * DAY)
    return today, await store.quotas.totals(tenant, flow)


def _limit(name: str, used: int, limit: int | None, resets: int | None = None) -> Limit:
    left = None if limit is None else max(0, limit - used)
    return Limit(name, used, limit, left, None if limit is None else resets)
