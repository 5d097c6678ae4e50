"""This process among those that share a store: the lease under which it works, kept while it does.

A lease that was taken is lost for good: whatever was driven under it is forsaken, and the
process goes on under a new one, like any other. Must never know: executions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from stratarouter_runtime.errors import LeaseLost, StoreError
from stratarouter_runtime.sharing import Lease, Leases

_LOG: Final = logging.getLogger(__name__)

KEEPS: Final = 5
"""How often a lease is kept while it would hold: so often that a store need not call silent who is well."""


class Hold:
    """A lease as this process has it. `until` is when it runs out, by the clock of the loop."""

    def __init__(self, presence: Presence, number: Lease, until: float) -> None:
        self._presence = presence
        self.number = number
        self.until = until
        self.lost = False

    @property
    def certain(self) -> bool:
        """Whether the lease holds for certain."""
        return not self.lost and self.until > asyncio.get_running_loop().time()

    async def confirm(self) -> None:
        """Returns where the lease holds for certain; asks the store where that is not known.

        Raises `LeaseLost` where it was taken: somebody else may be at work on the same, so
        nothing must be begun any more. Raises `StoreError` where that cannot be found out.
        """
        if not self.lost and not self.certain:
            await self._presence.keep(self)
        if self.lost:
            raise LeaseLost


class Presence:
    """Enters with the first need of a lease. `forsake` is told of each that was lost."""

    def __init__(self, leases: Leases, forsake: Callable[[Hold], None]) -> None:
        self._leases = leases
        self._forsake = forsake
        self._held: Hold | None = None
        self._entering = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None
        self._steady_from = 0.0
        self.losses = 0
        """Leases that were taken from this process so far."""

    @property
    def held(self) -> Hold | None:
        """The lease, where there is one."""
        return self._held

    @property
    def shared(self) -> bool:
        """Whether other processes may be at work in the same store."""
        return self._leases.span is not None

    async def expire(self) -> None:
        """Take leases that have run out, unless the store was away of late. Raises `StoreError`.

        Then leases ran out although nobody ended: everybody gets a span to come back.
        """
        if self.shared and self._steady:
            await self._leases.expire()

    @property
    def _steady(self) -> bool:
        """Whether the store has answered in time of late: in good times a lease is never half over."""
        now = asyncio.get_running_loop().time()
        half_over = self._held is not None and self._held.until < now + self._span / 2
        return now >= self._steady_from and not half_over

    async def hold(self) -> Hold:
        """The lease that new work is done under. Raises `StoreError`."""
        if self._held is not None:
            return self._held
        async with self._entering:
            if self._held is None:
                began = asyncio.get_running_loop().time()
                number = await self._leases.enter()
                self._held = Hold(self, number, began + self._span)
                if self.shared:
                    self._keeping = asyncio.get_running_loop().create_task(self._keep(self._held))
            return self._held

    async def keep(self, hold: Hold) -> None:
        """Have a lease hold on; it is `lost` where that is refused. Raises `StoreError`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            kept = await self._leases.keep(hold.number)
        finally:
            if hold.until < loop.time() + self._span / 2:
                self._steady_from = loop.time() + self._span
        if kept:
            hold.until = max(hold.until, began + self._span)
        else:
            self.lose(hold)

    def lose(self, hold: Hold) -> None:
        """The store refused something under this lease: forsake all that it was for. Again does nothing."""
        if hold.lost:
            return
        hold.lost = True
        self.losses += 1
        _LOG.warning("the lease %d of this process was taken: others go on with its executions", hold.number)
        if self._held is hold:
            self._held = None
        self._forsake(hold)

    async def leave(self) -> None:
        """Give the lease up, so that others need not wait until it runs out."""
        hold, self._held = self._held, None
        if self._keeping is not None:
            self._keeping.cancel()
        if hold is not None:
            hold.lost = True
            # A store that is away finds out by itself.
            with suppress(StoreError):
                await self._leases.leave(hold.number)

    async def _keep(self, hold: Hold) -> None:
        while self.shared and self._held is hold:
            await asyncio.sleep(self._span / KEEPS)
            # While the store is away nothing can be written; what has run out is confirmed before use.
            with suppress(StoreError):
                await self.keep(hold)

    @property
    def _span(self) -> float:
        return float("inf") if self._leases.span is None else self._leases.span
