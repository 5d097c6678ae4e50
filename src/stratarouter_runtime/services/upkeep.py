"""What a process does by itself: take up what nobody drives, and serve those who ask another process.

Must never know: HTTP, SQL, any back-end; how an execution is driven.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.errors import InvalidState, StoreError
from stratarouter_runtime.executor.recovery import Recovery, claim, restart, sweep

if TYPE_CHECKING:
    from stratarouter_runtime.executor.driver import Driver
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ports import Store
    from stratarouter_runtime.services.controls import Controls

PERIOD: Final = 0.25
"""Seconds between rounds."""

SWEEP: Final = 20
"""Rounds between looks for what is owned and stands still."""

LONGEST: Final = 20
"""Rounds between two tries to go on with what a failing store stopped; they double up to here."""

_LOG: Final = logging.getLogger(__name__)


class Upkeep:
    """Rounds without end. With `claiming`, executions that others left are taken up too."""

    def __init__(
        self, store: Store, plans: Plans, driver: Driver, controls: Controls, *, claiming: bool
    ) -> None:
        self._store = store
        self._plans = plans
        self._driver = driver
        self._controls = controls
        self._claiming = claiming
        self._round = 0
        self._restart_at = 0
        self._pause = 1

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
            recovery += await claim(self._store, self._plans, self._driver)
        if presence.held is None:
            return recovery
        if self._round % SWEEP == 0:
            recovery += await sweep(self._store, self._plans, self._driver)
        if presence.shared:
            await self._controls.serve(presence.held)
        return recovery

    async def _restart(self) -> Recovery:
        """Go on with what stopped here; ever more rarely while it stops again."""
        if not self._driver.stopped:
            self._pause = 1
            return Recovery()
        if self._round < self._restart_at:
            return Recovery()
        self._restart_at = self._round + self._pause
        self._pause = min(2 * self._pause, LONGEST)
        return await restart(self._store, self._plans, self._driver)

    def _report(self, recovery: Recovery) -> None:
        if recovery.resumed:
            _LOG.info("executions taken up: %d", len(recovery.resumed))
        for execution, error in recovery.left:
            _LOG.warning("left as it is: %s: %s", execution, error.message)
