"""At start: every execution that has not finished is taken up where its journal ends.

One that cannot be taken up is reported and left as it is; the others go on. Must never
know: how a journal is replayed, or what an execution does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.errors import StrataError
from stratarouter_runtime.ids import ExecutionId

if TYPE_CHECKING:
    from stratarouter_runtime.executor.driver import Driver
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ports import Execution, Journal


class Recovery(Struct, frozen=True):
    """What recovery found: executions at work again, and those left, with the reason."""

    resumed: tuple[ExecutionId, ...]
    left: tuple[tuple[ExecutionId, StrataError], ...]


async def recover(journal: Journal, plans: Plans, driver: Driver) -> Recovery:
    """Resume all that has not finished and is not at work here yet. Raises `StoreError`."""
    resumed, left = [], []
    at_work = set(driver.active)
    for row in await journal.unfinished():
        if row.id in at_work:
            continue
        try:
            await resume(row, journal, plans, driver)
            resumed.append(row.id)
        except StrataError as error:
            left.append((row.id, error))
    return Recovery(tuple(resumed), tuple(left))


async def resume(row: Execution, journal: Journal, plans: Plans, driver: Driver) -> None:
    """Resume one execution. Raises `NotFound`, `JournalMismatch`, `StoreError`."""
    plan = await plans.get(row.plan)
    driver.resume(plan, row, await journal.read(row.id))
