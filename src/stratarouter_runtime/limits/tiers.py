"""Which tier a tenant is on: what the operator assigned, else the one that all others have.

Must never know: what a tier is held to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from stratarouter_runtime.errors import InvalidInput, InvalidSetting
from stratarouter_runtime.freshness import Recent
from stratarouter_runtime.ids import LOCAL, OPERATOR, Tenant
from stratarouter_runtime.limits.keyring import check_tenant
from stratarouter_runtime.limits.policy import FREE, UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stratarouter_runtime.ports import Clock, Shelf
    from stratarouter_runtime.tenancy.quotas import Tier

KIND: Final = "tier of tenant"


class Assigned(Struct, frozen=True):
    """The tier of one tenant, by its name."""

    tier: str


class Tiers:
    """The tiers there are, and whose they are. `default` names the one of whoever has none assigned.

    Raises `InvalidSetting` where that is no tier.
    """

    def __init__(
        self, shelf: Shelf, clock: Clock, defined: Iterable[Tier] = (), default: str = "free"
    ) -> None:
        self._shelf = shelf
        self._clock = clock
        self.known = {tier.name: tier for tier in (FREE, UNLIMITED, *defined)}
        if default not in self.known:
            raise InvalidSetting(
                f"limits.tier = {default!r} is no tier", hint=f"tiers are: {', '.join(self.known)}"
            )
        self._default = self.known[default]
        self._recent = Recent(self._read, clock)

    async def of(self, tenant: Tenant) -> Tier:
        """The tier of a tenant; `free` where it was assigned one that is defined no more."""
        return await self._recent.get(tenant)

    async def assign(self, tenant: Tenant, tier: str, *, by: str) -> Tier:
        """Put a tenant on a tier. Raises `InvalidInput` where there is none of this name."""
        check_tenant(tenant)
        if tier not in self.known:
            raise InvalidInput(f"there is no tier {tier!r}", hint=f"tiers are: {', '.join(self.known)}")
        body = msgspec.json.encode(Assigned(tier))
        await self._shelf.put(OPERATOR, KIND, tenant, body, at=self._clock.now(), by=by)
        self._recent.forget(tenant)
        return self.known[tier]

    async def _read(self, name: str) -> Tier:
        kept = await self._shelf.get(OPERATOR, KIND, name)
        if kept is None:
            return UNLIMITED if name == LOCAL else self._default
        return self.known.get(msgspec.json.decode(kept.body, type=Assigned).tier, FREE)
