"""Whatever no living process drives is taken up where its journal ends.

Executions are claimed a few at a time, so that several processes share them. One that cannot
be taken up is reported and left as it is; the others go on. Must never know: how a journal
is replayed, or what an execution does.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stratarouter_runtime.errors import NotFound, StoreError, StrataError
from stratarouter_runtime.executor.drive import restate
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import ENDED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stratarouter_runtime.executor.driver import Driver
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.executor.presence import Hold
    from stratarouter_runtime.ports import Execution, Store

CHUNK: Final = 32
"""Executions claimed at a time."""

AT_ONCE: Final = 4
"""Of these, how many are taken up side by side."""


class Recovery(Struct, frozen=True):
    """What recovery found: executions at work again, and those left, with the reason."""

    resumed: tuple[ExecutionId, ...] = ()
    left: tuple[tuple[ExecutionId, StrataError], ...] = ()

    def __add__(self, other: Recovery) -> Recovery:
        return Recovery(self.resumed + other.resumed, self.left + other.left)


async def recover(store: Store, plans: Plans, driver: Driver) -> Recovery:
    """Take up what stopped here, and claim what nobody drives and is not paused. Raises `StoreError`."""
    return await restart(store, plans, driver) + await claim(store, plans, driver)


async def restart(store: Store, plans: Plans, driver: Driver) -> Recovery:
    """Take up again what stopped here because the store failed. Raises `StoreError`."""
    return await _resume(driver.stopped, store, plans, driver)


async def claim(store: Store, plans: Plans, driver: Driver) -> Recovery:
    """Take up everything that nobody drives. Raises `StoreError`."""
    recovery = Recovery()
    await driver.presence.expire()
    while True:
        hold = await driver.hold()
        claimed = await store.leases.claim(hold.number, CHUNK)
        if not claimed:
            return recovery
        driver.stopped_here(claimed)
        recovery += await _resume(claimed, store, plans, driver)


async def sweep(store: Store, plans: Plans, driver: Driver, but: Collection[ExecutionId] = ()) -> Recovery:
    """Take up what this process owns and does not drive, `but` these. Raises `StoreError`.

    A start whose answer got lost may come true after its client was told that it failed.
    """
    hold = await driver.hold()
    held = await store.leases.held(hold.number)
    return await _resume(
        [each for each in held if not (driver.drives(each) or each in but)], store, plans, driver
    )


async def _resume(executions: Sequence[ExecutionId], store: Store, plans: Plans, driver: Driver) -> Recovery:
    """A few side by side: their takes share a commit, and the first are at work while others are read."""

    async def one(execution: ExecutionId) -> Recovery:
        try:
            resumed = await resume(execution, store, plans, driver)
        except StoreError:
            raise
        except StrataError as error:
            return Recovery(left=((execution, error),))
        return Recovery((execution,) if resumed else ())

    recovery = Recovery()
    for start in range(0, len(executions), AT_ONCE):
        few = executions[start : start + AT_ONCE]
        outcomes = await asyncio.gather(*map(one, few), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            recovery += outcome
    return recovery


async def resume(
    execution: ExecutionId, store: Store, plans: Plans, driver: Driver, *, paused: bool = False
) -> bool:
    """Resume one execution; one that was paused only where that is wanted, whenever it was paused.

    False where it is at work, here or in another process, or has finished. Raises `NotFound`,
    `JournalMismatch`, `InvalidState` while draining, `StoreError`.
    """
    async with driver.alone(execution):
        if driver.drives(execution):
            driver.forget(execution)
            return False
        hold = await driver.hold()
        # From here on nobody else writes this journal. What was claimed is taken again too: somebody here
        # may have set it to work and paused it since, and another process may go on with it.
        mine = await _take(execution, hold, store, driver)
        row = await store.find(execution)
        driver.forget(execution)
        if row is None:
            raise NotFound(f"no execution {execution}")
        if not mine or row.status in ENDED:
            return False
        if row.status == "paused" and not paused:
            await give_back(row, hold, store, driver)
            return False
        await _set_to_work(row, hold, store, plans, driver)
        return True


async def _take(execution: ExecutionId, hold: Hold, store: Store, driver: Driver) -> bool:
    """Whether it is ours now; who drove it may have ended only just."""
    mine = await store.leases.take(hold.number, execution)
    if not mine and driver.presence.shared:
        await driver.presence.expire()
        mine = await store.leases.take(hold.number, execution)
    return mine


async def _set_to_work(row: Execution, hold: Hold, store: Store, plans: Plans, driver: Driver) -> None:
    """Go on with what is ours. One that was paused and cannot be brought back is given back."""
    try:
        replayed = await driver.snapshotter.bring_back(row, plans, store)
        if row.status == "paused":
            row = driver.relisted(row, restate(row, replayed.run, replayed.ledger).status)
            await store.append(row.id, [], row, hold.number)
            driver.recorded(row, [], [])
    except StoreError:
        driver.stopped_here([row.id])
        raise
    except StrataError:
        if row.status == "paused":
            await give_back(row, hold, store, driver)
        raise
    driver.resume(replayed, row, hold)


async def give_back(row: Execution, hold: Hold, store: Store, driver: Driver) -> None:
    """What was taken goes back as it was: paused, and nobody's; or to be taken up again, where it was driven.

    Where the store fails, `restart` does it.
    """
    if row.status == "paused":
        with suppress(StoreError):
            await store.append(row.id, [], row, hold.number)
            return
    driver.stopped_here([row.id])
