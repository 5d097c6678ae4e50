"""What a process does by itself: take up what nobody drives, and serve those who ask another process.

Must never know: HTTP, SQL, any back-end; how an execution is driven.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stratarouter_runtime.errors import InvalidState, StoreError
from stratarouter_runtime.executor.recovery import Recovery, claim, restart, sweep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stratarouter_runtime.executor.driver import Driver
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Store
    from stratarouter_runtime.services.controls import Controls
    from stratarouter_runtime.sharing import Lease

PERIOD: Final = 0.25
"""Seconds between rounds."""

LOOK: Final = 4
"""Rounds between looks whether another process has ended."""

SWEEP: Final = 20
"""Rounds between looks for what is owned and stands still, after there was trouble with the store."""

RARE: Final = 240
"""Likewise in good times: they double up to here while nothing is found."""

RAREST: Final = 14_400
"""Rounds between two tries with what cannot be taken up; they double up to here."""

LONGEST: Final = 20
"""Rounds between two tries to go on with what a failing store stopped; they double up to here."""

_LOG: Final = logging.getLogger(__name__)


class _Later(Struct, frozen=True):
    """When something is tried again, and how long that was put off, in rounds."""

    round: int
    pause: int


class Upkeep:
    """Rounds without end. With `claiming`, executions that others left are taken up too."""

    def __init__(
        self,
        store: Store,
        plans: Plans,
        driver: Driver,
        controls: Controls,
        taken: Callable[[], Awaitable[object]],
        *,
        claiming: bool,
    ) -> None:
        """`taken` is called where another process has ended, or executions were taken up that one had left."""
        self._store = store
        self._plans = plans
        self._driver = driver
        self._controls = controls
        self._taken = taken
        self._claiming = claiming
        self._living: frozenset[Lease] = frozenset()
        self._inherited = False
        self._round = 0
        self._restart_at = 0
        self._pause = 1
        self._sweep_at = self._sweep_pause = SWEEP
        self._left: dict[ExecutionId, _Later] = {}

    async def run(self) -> None:
        """Until it is cancelled. A store that is away is waited for; nothing that fails ends it."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                self._report(await self.round())
            except StoreError as error:
                _LOG.warning("executions that stopped are not taken up again yet: %s", error.message)
            except InvalidState:
                return  # the process is shutting down
            except Exception:  # noqa: BLE001 - a defect with one execution must not end the upkeep of all
                _LOG.exception("a round of upkeep failed")

    async def round(self) -> Recovery:
        """One round. Raises `StoreError`, and `InvalidState` while draining."""
        self._round += 1
        presence = self._driver.presence
        recovery = await self._restart()
        if self._claiming and presence.shared:
            claimed = await claim(self._store, self._plans, self._driver)
            recovery += claimed
            await self._inherit(claimed)
        if presence.held is None:
            return recovery
        recovery += await self._sweep()
        if presence.shared:
            await self._controls.serve(presence.held)
        return recovery

    async def _inherit(self, claimed: Recovery) -> None:
        """Have all taken over that a process has left, also where no execution of its tells of that."""
        ended = False
        if self._round % LOOK == 0:
            before, self._living = self._living, await self._store.leases.living()
            ended = bool(before - self._living)
        self._inherited = self._inherited or ended or bool(claimed.resumed)
        if self._inherited:
            await self._taken()
            self._inherited = False

    async def _restart(self) -> Recovery:
        """Go on with what stopped here; ever more rarely while it stops again."""
        if not self._driver.stopped:
            self._pause = 1
            return Recovery()
        self._sweep_pause, self._sweep_at = SWEEP, min(self._sweep_at, self._round + SWEEP)
        if self._round < self._restart_at:
            return Recovery()
        self._restart_at = self._round + self._pause
        self._pause = min(2 * self._pause, LONGEST)
        return await restart(self._store, self._plans, self._driver)

    async def _sweep(self) -> Recovery:
        """Look for what stands still; again and again only at what may have become better."""
        if self._round < self._sweep_at:
            return Recovery()
        later = {name: each for name, each in self._left.items() if each.round > self._round}
        found = await sweep(self._store, self._plans, self._driver, later)
        for execution, _ in found.left:
            pause = min(2 * self._left[execution].pause, RAREST) if execution in self._left else RARE
            later[execution] = _Later(self._round + pause, pause)
        self._left = later
        self._sweep_pause = SWEEP if found.resumed else min(2 * self._sweep_pause, RARE)
        self._sweep_at = self._round + self._sweep_pause
        return found

    def _report(self, recovery: Recovery) -> None:
        if recovery.resumed:
            _LOG.info("executions taken up: %d", len(recovery.resumed))
        for execution, error in recovery.left:
            _LOG.warning("left as it is: %s: %s", execution, error.message)
