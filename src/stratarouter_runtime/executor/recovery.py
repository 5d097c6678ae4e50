"""At start: every execution that has not finished is taken up where its journal ends.

One that cannot be taken up is reported and left as it is; the others go on. Must never
know: how a journal is replayed, or what an execution does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.errors import NotFound, StrataError
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import ENDED

if TYPE_CHECKING:
    from stratarouter_runtime.executor.driver import Driver
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ports import Journal


class Recovery(Struct, frozen=True):
    """What recovery found: executions at work again, and those left, with the reason."""

    resumed: tuple[ExecutionId, ...]
    left: tuple[tuple[ExecutionId, StrataError], ...]


async def recover(journal: Journal, plans: Plans, driver: Driver) -> Recovery:
    """Resume all that has not finished, is not paused, and is not at work here yet. Raises `StoreError`."""
    resumed, left = [], []
    for row in await journal.unfinished():
        if row.status == "paused":
            continue
        try:
            if await resume(row.id, journal, plans, driver):
                resumed.append(row.id)
        except StrataError as error:
            left.append((row.id, error))
    return Recovery(tuple(resumed), tuple(left))


async def resume(execution: ExecutionId, journal: Journal, plans: Plans, driver: Driver) -> bool:
    """Resume one execution, paused or not; False where it is at work here, or has finished by now.

    Raises `NotFound`, `JournalMismatch`, `StoreError`.
    """
    async with driver.alone(execution):
        row = await journal.find(execution)
        if row is None:
            raise NotFound(f"no execution {execution}")
        if execution in driver.active or row.status in ENDED:
            return False
        plan, records = await plans.get(row.plan), await journal.read(execution)
        if row.status == "paused":
            row = replace(row, status="running")
            await journal.append(execution, [], row)
        driver.resume(plan, row, records)
        return True
