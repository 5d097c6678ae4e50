"""Waiting for an execution, whichever process drives it.

Who waits for one that stands still sets it to work. Must never know: who waits, or for what.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.errors import LeaseLost, StoreError, StrataError
from stratarouter_runtime.executor.recovery import resume
from stratarouter_runtime.pauses import growing
from stratarouter_runtime.ports import ENDED

if TYPE_CHECKING:
    from stratarouter_runtime.executor.driver import Driver
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Execution, Store
    from stratarouter_runtime.services.history import History

FIRST: Final = 0.02
LONGEST: Final = 0.5
"""Seconds between looks at an execution that another process drives."""

DRIVEN: Final = frozenset({"queued", "running"})
"""Statuses of what moves on by itself."""


class Waiting:
    """Tells what became of executions, once there is something to tell."""

    def __init__(self, driver: Driver, store: Store, plans: Plans, history: History) -> None:
        self._driver = driver
        self._store = store
        self._plans = plans
        self._history = history

    async def settled(self, execution: ExecutionId, patience: float | None = None) -> Execution:
        """It, once it has stopped, or only an answer from outside can move it on.

        After `patience` seconds it is returned as it stands. Raises `NotFound`, `StoreError`.
        """
        if (at_rest := self._driver.at_rest(execution)) is not None:
            return at_rest
        try:
            async with asyncio.timeout(patience):
                return await self._settled(execution)
        except TimeoutError:
            return await self._history.find(execution)

    async def _settled(self, execution: ExecutionId) -> Execution:
        for pause in growing(FIRST, LONGEST, 1.5):
            with suppress(LeaseLost):
                settled = await self._driver.settled(execution)
                if settled is not None:
                    return settled
            row = await self._history.find(execution)
            if row.status not in DRIVEN or self._driver.draining:
                return row
            try:
                resumed = await self.resume(execution)
            except StoreError:
                raise
            except StrataError:  # it cannot go on: as it stands
                return row
            if not resumed:
                await asyncio.sleep(pause)
        raise AssertionError("pauses do not end")

    async def ended(self, execution: ExecutionId) -> Execution:
        """It, once it has ended, or stopped because this process does."""
        for pause in growing(FIRST, LONGEST, 1.5):
            row = await self._history.find(execution)
            if row.status in ENDED or self._driver.draining:
                return row
            if row.status != "paused":
                await self.resume(execution)
            if self._driver.drives(execution):
                with suppress(LeaseLost):
                    await self._driver.ended(execution)
            else:
                await asyncio.sleep(pause)
        raise AssertionError("pauses do not end")

    async def resume(self, execution: ExecutionId) -> bool:
        """Set it to work where nobody drives it; whether it is at work here now."""
        return await resume(execution, self._store, self._plans, self._driver)
