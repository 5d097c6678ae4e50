"""The reference of what tenants have used: counters in dictionaries.

Must never know: how other back-ends do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from stratarouter_runtime.ports import ENDED, Journal, Quotas
from stratarouter_runtime.state.events import NO_USAGE
from stratarouter_runtime.tenancy.quotas import Spent, Totals
from stratarouter_runtime.tenancy.windows import (
    check_concurrent,
    check_daily,
    day_of,
    slide,
    started_on,
    used,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stratarouter_runtime.ids import ExecutionId, FlowId, Tenant
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.tenancy.quotas import Admission


class MemoryQuotas(Quotas):
    """Counters beside the executions of a store in memory."""

    def __init__(
        self, journal: Journal, executions: Mapping[ExecutionId, Execution], check_open: Callable[[], None]
    ) -> None:
        self._journal = journal
        self._executions = executions
        self._check_open = check_open
        self._limited: set[ExecutionId] = set()
        self._days: dict[Tenant, tuple[int, int]] = {}
        self._windows: dict[Tenant, bytes] = {}

    @override
    async def create(
        self, execution: Execution, records: Sequence[Record], lease: Lease, admission: Admission
    ) -> bool:
        self._check_open()
        tenant, now = execution.tenant, execution.created
        if execution.id not in self._executions:
            day, started = started_on(*self._days.get(tenant, (0, 0)), day_of(now))
            check_daily(tenant, started, admission.daily, now)
            check_concurrent(tenant, self._active(tenant), admission.concurrent)
            if await self._journal.create(execution, records, lease):
                self._days[tenant] = day, started + 1
                self._limited.add(execution.id)
                return True
        return False

    @override
    async def spend(self, tenant: Tenant, limit: int, now: int) -> Spent:
        self._check_open()
        self._windows[tenant], spent = slide(self._windows.get(tenant, b""), limit, now)
        return spent

    @override
    async def requests(self, tenant: Tenant, now: int) -> int:
        self._check_open()
        return used(self._windows.get(tenant, b""), now)

    @override
    async def started(self, tenant: Tenant, now: int) -> int:
        self._check_open()
        return started_on(*self._days.get(tenant, (0, 0)), day_of(now))[1]

    @override
    async def active(self, tenant: Tenant) -> int:
        self._check_open()
        return self._active(tenant)

    @override
    async def totals(self, tenant: Tenant, flow: FlowId | None = None, since: int = 0) -> Totals:
        self._check_open()
        mine = [
            row
            for row in self._executions.values()
            if row.tenant == tenant and row.created >= since and flow in (None, row.flow)
        ]
        spent = [row.usage or NO_USAGE for row in mine]
        return Totals(
            executions=len(mine),
            completed=sum(row.status == "completed" for row in mine),
            failed=sum(row.status in ENDED and row.status != "completed" for row in mine),
            usd=sum((each.usd for each in spent), 0.0),
            tokens_in=sum(each.tokens_in for each in spent),
            tokens_out=sum(each.tokens_out for each in spent),
            agent_ms=sum((each.ms for each in spent), 0.0),
        )

    def _active(self, tenant: Tenant) -> int:
        rows = [self._executions.get(name) for name in self._limited]
        active = [row for row in rows if row is not None and row.status not in ENDED]
        self._limited = {row.id for row in active}
        return sum(row.tenant == tenant for row in active)
