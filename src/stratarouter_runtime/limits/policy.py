"""Tiers, and what they allow at this moment; pure.

Must never know: where anything is counted, or any clock.
"""

from __future__ import annotations

from typing import Final

from stratarouter_runtime.errors import QuotaExceeded
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.tenancy.quotas import Admission, Spent, Tier
from stratarouter_runtime.tenancy.windows import MINUTE, REQUESTS, SECOND, whole_seconds

FREE: Final = Tier(
    "free", concurrent=10, daily=1_000, workflows=100, steps=1_000, seconds=3_600, requests=60, agents=100
)
UNLIMITED: Final = Tier("unlimited")


def admission(tier: Tier) -> Admission | None:
    """What the store holds an execution of this tier to; None where it has no limit to keep."""
    if tier.concurrent is None and tier.daily is None:
        return None
    return Admission(tier.concurrent, tier.daily)


def check_requests(tenant: Tenant, spent: Spent, limit: int) -> None:
    """Refuse one request more than the limit of a minute. Raises `QuotaExceeded`."""
    if not spent.allowed:
        raise QuotaExceeded(
            f"tenant '{tenant}' has made {limit} requests within a minute, which is its limit",
            policy=REQUESTS,
            retry_after=whole_seconds(spent.wait),
            hint="follow an execution by its events, or wait for it (Prefer: wait=60), instead of asking again",
        )


def described(limit: int) -> str:
    """The limit of requests as the field `RateLimit-Policy` names it (draft-ietf-httpapi-ratelimit-headers-10)."""
    return f'"{REQUESTS}";q={limit};w={MINUTE // SECOND}'


def told(spent: Spent) -> str:
    """What is left of it, as the field `RateLimit` tells."""
    return f'"{REQUESTS}";r={spent.left};t={whole_seconds(spent.wait)}'
