"""An execution that stands still is moved to another plan, or stays as it is.

Must never know: what makes a plan fit; how an execution is stopped or set to work again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stratarouter_runtime.errors import Conflict, NotFound, StoreError, StrataError
from stratarouter_runtime.executor.drive import restate
from stratarouter_runtime.executor.recovery import give_back
from stratarouter_runtime.state.migration import migrate

if TYPE_CHECKING:
    from stratarouter_runtime.executor.driver import Driver
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.executor.presence import Hold
    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Clock, Execution, Store
    from stratarouter_runtime.tcfp.plan import Plan


async def move(
    execution: ExecutionId, target: Plan, by: str, *, store: Store, plans: Plans, driver: Driver, clock: Clock
) -> None:
    """Journal that an execution goes on with `target`; returns once that is durable, and it stands still.

    Raises `InvalidState` where it cannot, `Conflict` where somebody drives it, `NotFound`, `StoreError`.
    """
    async with driver.alone(execution):
        hold = await driver.hold()
        if driver.drives(execution) or not await store.leases.take(hold.number, execution):
            raise Conflict(f"execution {execution} is at work", hint="pause it first")
        row = await store.find(execution)
        driver.forget(execution)
        if row is None:
            raise NotFound(f"no execution {execution}")
        try:
            await _told_on(target, row, by, hold, store=store, plans=plans, driver=driver, clock=clock)
        except StoreError:
            # Its answer may have got lost: what is given back must be what is there by now.
            driver.stopped_here([row.id])
            raise
        except StrataError:
            await give_back(row, hold, store, driver)
            raise


async def _told_on(
    target: Plan,
    row: Execution,
    by: str,
    hold: Hold,
    *,
    store: Store,
    plans: Plans,
    driver: Driver,
    clock: Clock,
) -> None:
    plan, records = await plans.get(row.plan), await store.read(row.id)
    moved = migrate(target, plan, records, await plans.named(records), clock.now(), by)
    await plans.keep(target)
    row = restate(replace(row, plan=target.digest), moved.run, moved.ledger)
    if moved.run.finished is None:
        row = replace(row, status="paused")
    await store.append(row.id, moved.records, row, hold.number)
    driver.recorded(row, moved.records, moved.events)
