"""What operators let the agents of tenants be: one document for each tenant, and one for all others.

One that any process changes holds for all within a second. Must never know: what a policy is held
against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from typing_extensions import override

from stratarouter_runtime import ports
from stratarouter_runtime.errors import InvalidInput, NotFound
from stratarouter_runtime.freshness import Recent
from stratarouter_runtime.ids import LOCAL, OPERATOR, Tenant
from stratarouter_runtime.limits.keyring import check_tenant
from stratarouter_runtime.tenancy.policies import EVERYTHING, KINDS, Policy

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Clock, Shelf

KIND: Final = "policy of tenant"
OTHERS: Final = Tenant("*")
"""The tenant whose policy is that of all who have none of their own, `local` apart."""


class Policies(ports.Policies):
    """Policies on the shelf of the operator."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._recent = Recent(self._read, clock)

    @override
    async def policy(self, tenant: Tenant) -> Policy:
        return await self._recent.get(tenant)

    async def set(self, tenant: Tenant, policy: Policy, *, by: str) -> None:
        """Hold a tenant to a policy from now on; `*` stands for all who have none of their own.

        Raises `InvalidInput` for what cannot be the name of a tenant, or is no kind of agent.
        """
        _check(tenant)
        unknown = [kind for kind in policy.kinds or () if kind not in KINDS]
        if unknown:
            raise InvalidInput(
                f"there is no kind of agent {unknown[0]!r}", hint=f"kinds are: {', '.join(KINDS)}"
            )
        body = msgspec.json.encode(policy)
        await self._shelf.put(OPERATOR, KIND, tenant, body, at=self._clock.now(), by=by)
        self._recent.forget(tenant)

    async def clear(self, tenant: Tenant, *, by: str) -> None:
        """Hold a tenant to no policy of its own any more. Raises `NotFound`, `InvalidInput`."""
        _check(tenant)
        if not await self._shelf.remove(OPERATOR, KIND, tenant, at=self._clock.now(), by=by):
            raise NotFound(f"tenant '{tenant}' has no policy of its own")
        self._recent.forget(tenant)

    async def _read(self, name: str) -> Policy:
        kept = await self._shelf.get(OPERATOR, KIND, name)
        if kept is None and name not in (OTHERS, LOCAL):
            kept = await self._shelf.get(OPERATOR, KIND, OTHERS)
        policy = EVERYTHING if kept is None else msgspec.json.decode(kept.body, type=Policy)
        return EVERYTHING if policy == EVERYTHING else policy  # itself, which is known at a glance


def _check(tenant: Tenant) -> None:
    if tenant != OTHERS:
        check_tenant(tenant)
