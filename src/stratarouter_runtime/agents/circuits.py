"""The circuit breakers of one agent, one for each tenant: what one tenant asks keeps no other from asking.

Must never know: what is called, or any clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Final

from stratarouter_runtime.breaker import CLOSED, Breaker, Policy, State, ask, drop, fail, succeed
from stratarouter_runtime.ids import Tenant

MOST: Final = 1_000
"""Tenants whose failures are remembered; of more, those who called longest ago are forgotten."""


class Circuits:
    """Times are microseconds since the epoch. `opened` is how often one of them has opened."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._troubled: OrderedDict[Tenant, Breaker] = OrderedDict()
        self.opened = 0

    def of(self, tenant: Tenant) -> Breaker:
        """How the circuit stands for a tenant."""
        return self._troubled.get(tenant, CLOSED)

    def states(self) -> Mapping[State, int]:
        """How many tenants' circuits stand how, of those that have seen a failure."""
        return Counter(breaker.state for breaker in self._troubled.values())

    def ask(self, tenant: Tenant, now: int) -> bool:
        """Whether a call is let through."""
        if tenant not in self._troubled:
            return True
        after, through = ask(self._troubled[tenant], now)
        self._put(tenant, after)
        return through

    def succeed(self, tenant: Tenant) -> None:
        """A call was answered."""
        if tenant in self._troubled:
            self._put(tenant, succeed(self._troubled[tenant]))

    def fail(self, tenant: Tenant, now: int) -> None:
        """A call failed in a way that tells of the agent."""
        before = self.of(tenant)
        after = fail(before, self._policy, now)
        self.opened += after.opened - before.opened
        self._put(tenant, after)

    def drop(self, tenant: Tenant, now: int) -> None:
        """A call ended in a way that tells nothing."""
        if tenant in self._troubled:
            self._put(tenant, drop(self._troubled[tenant], now))

    def _put(self, tenant: Tenant, breaker: Breaker) -> None:
        if breaker.state == "closed" and not breaker.failures:
            self._troubled.pop(tenant, None)
            return
        self._troubled[tenant] = breaker
        self._troubled.move_to_end(tenant)
        if len(self._troubled) > MOST:
            self._troubled.popitem(last=False)
