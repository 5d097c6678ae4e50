"""All that is about tenants, put together from the settings: keys, tiers, the gate.

Must never know: back-ends.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.limits.gate import Gate
from stratarouter_runtime.limits.keyring import Keyring
from stratarouter_runtime.limits.pepper import pepper
from stratarouter_runtime.limits.policies import Policies
from stratarouter_runtime.limits.tiers import Tiers
from stratarouter_runtime.limits.tokens import Doors, Tokens

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Clock, Door, Entropy, Store
    from stratarouter_runtime.settings import Settings


class Tenancy(Struct, frozen=True):
    """Who may call, and how much."""

    keys: Keyring
    tiers: Tiers
    gate: Gate
    policies: Policies
    tokens: Tokens | None = None

    async def door(self) -> Door | None:
        """Who lets callers in; None where no key was ever made, and no tokens are taken."""
        if self.tokens is not None:
            return Doors(self.keys, self.tokens)
        return self.keys if await self.keys.any() else None


def tenancy(settings: Settings, store: Store, clock: Clock, entropy: Entropy) -> Tenancy:
    """Keys, tiers and the gate of a store. Raises `InvalidSetting` for a tier that is none."""
    tiers = Tiers(store.shelf, clock, settings.tiers, settings.tier)
    keys = Keyring(store.shelf, partial(pepper, settings.pepper, entropy), clock, entropy)
    policies = Policies(store.shelf, clock)
    return Tenancy(keys, tiers, Gate(store, tiers, clock), policies, _tokens(settings, clock))


def _tokens(settings: Settings, clock: Clock) -> Tokens | None:
    """Tokens, where the settings name the keys that sign them. Raises `InvalidSetting`."""
    if settings.jwt_keys is None:
        return None
    if settings.jwt_issuer is None or settings.jwt_audience is None:
        raise InvalidSetting(
            "jwt.keys is set without jwt.issuer and jwt.audience",
            hint="name both: a token has to be from that issuer, and for that audience",
        )
    return Tokens(
        settings.jwt_keys,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        tenant=settings.jwt_tenant,
        clock=clock,
    )
