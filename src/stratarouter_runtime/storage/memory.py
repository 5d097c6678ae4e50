"""The reference store: what every other one must do, in the fewest words.

Nothing outlives the process. Must never know: how other back-ends do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.errors import StoreUnavailable
from stratarouter_runtime.ports import Deployed, Execution, Status, Store
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.storage.memory_cache import MemoryCache
from stratarouter_runtime.storage.memory_keeping import MemoryKeeping
from stratarouter_runtime.storage.memory_quotas import MemoryQuotas
from stratarouter_runtime.storage.memory_sharing import MemoryLeases, MemoryMail
from stratarouter_runtime.storage.memory_shelf import MemoryAudit, MemoryShelf
from stratarouter_runtime.storage.memory_snapshots import MemorySnapshots
from stratarouter_runtime.storage.rules import UNFINISHED, check_records, check_size, restated, unknown
from stratarouter_runtime.storage.shelving import check_workflows, deployment, retirement
from stratarouter_runtime.storage.statistics import Commits, WriterStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record


def _never() -> float:
    """A clock for leases that do not run out."""
    return 0.0


class MemoryStore(Store):
    """Executions, records, plans and deployments in dictionaries."""

    def __init__(self, span: float | None = None, now: Callable[[], float] = _never) -> None:
        """Leases hold for `span` seconds of the clock `now`; without one, until the next process enters."""
        self._executions: dict[ExecutionId, Execution] = {}
        self._records: dict[ExecutionId, list[Record]] = {}
        self._plans: dict[Digest, bytes] = {}
        self._deployed: dict[tuple[Tenant, FlowId], Deployed] = {}
        self._closed = False
        self.owners: dict[ExecutionId, Lease] = {}
        """Who owns each execution."""
        self.leases = MemoryLeases(self, self.owners, span, now)
        self.mail = MemoryMail(self.owners)
        self.snapshots = MemorySnapshots(self._check_open, self._unfinished)
        self.audit = self._audit = MemoryAudit(self._check_open)
        self.shelf = MemoryShelf(self._check_open, self._audit)
        self.cache = MemoryCache(self._check_open)
        self.quotas = MemoryQuotas(self, self._executions, self._check_open)
        self.keeping = MemoryKeeping(
            self._executions, self._records, self.owners, self.snapshots, self.mail, self._check_open
        )

    @override
    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        self._check_open()
        self.leases.check(lease)
        for record in records:
            check_size(execution.id, record)
        if execution.id in self._executions:
            return False
        check_records(execution.id, records, 0)
        self._executions[execution.id] = restated(replace(execution, records=0), records)
        self._records[execution.id] = list(records)
        self.owners[execution.id] = lease
        return True

    @override
    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        self._check_open()
        self.leases.check(lease)
        for record in records:
            check_size(execution, record)
        current = self._executions.get(execution)
        if current is None:
            raise unknown(execution)
        check_records(execution, records, current.records)
        self._executions[execution] = restated(current, records, status)
        self._records[execution].extend(records)
        if status is not None and status.status == "paused":
            self.owners[execution] = NOBODY

    @override
    async def read(self, execution: ExecutionId, after: int = -1) -> list[Record]:
        self._check_open()
        return [record for record in self._records.get(execution, ()) if record.seq > after]

    @override
    async def find(self, execution: ExecutionId) -> Execution | None:
        self._check_open()
        return self._executions.get(execution)

    @override
    async def search(
        self,
        *,
        tenant: Tenant | None = None,
        flow: FlowId | None = None,
        status: Sequence[Status] = (),
        before: ExecutionId | None = None,
        limit: int = 50,
    ) -> list[Execution]:
        self._check_open()
        rows = [row for row in self._by_age() if tenant is None or row.tenant == tenant]
        if before is not None:
            ids = [row.id for row in rows]
            if before not in ids:
                raise unknown(before)
            rows = rows[: ids.index(before)]
        rows = [row for row in rows if flow is None or row.flow == flow]
        rows = [row for row in rows if not status or row.status in status]
        return rows[::-1][:limit]

    @override
    async def unfinished(self) -> list[Execution]:
        self._check_open()
        return [row for row in self._by_age() if row.status in UNFINISHED]

    @override
    async def keep_plan(self, plan: Digest, document: bytes) -> None:
        self._check_open()
        self._plans.setdefault(plan, document)

    @override
    async def plan(self, plan: Digest) -> bytes | None:
        self._check_open()
        return self._plans.get(plan)

    @override
    async def deploy(self, deployed: Deployed, *, by: str = "", quota: int | None = None) -> None:
        self._check_open()
        tenant, flow = deployed.tenant, deployed.flow
        others = sum(1 for owner, name in self._deployed if owner == tenant and name != flow)
        check_workflows(tenant, others, quota)
        self._deployed[tenant, flow] = deployed
        self._audit.add(deployment(deployed, by))

    @override
    async def retire(self, tenant: Tenant, flow: FlowId, *, at: int, by: str = "") -> bool:
        self._check_open()
        if self._deployed.pop((tenant, flow), None) is None:
            return False
        self._audit.add(retirement(tenant, flow, at, by))
        return True

    @override
    async def deployed(self, tenant: Tenant, flow: FlowId) -> Deployed | None:
        self._check_open()
        return self._deployed.get((tenant, flow))

    @override
    async def flows(self, tenant: Tenant, after: str = "", limit: int | None = None) -> list[Deployed]:
        self._check_open()
        mine = [each for each in self._deployed.values() if each.tenant == tenant and each.flow > after]
        return sorted(mine, key=lambda deployed: deployed.flow)[:limit]

    @override
    async def deployed_plans(self, tenant: Tenant) -> dict[FlowId, Digest]:
        return {deployed.flow: deployed.plan for deployed in await self.flows(tenant)}

    @override
    async def probe(self) -> None:
        self._check_open()

    @override
    def stats(self) -> WriterStats:
        return Commits().stats()

    @override
    async def close(self) -> None:
        self._closed = True

    def _by_age(self) -> list[Execution]:
        """All executions, oldest first; those of one moment in the order they came."""
        return sorted(self._executions.values(), key=lambda row: row.created)

    def _unfinished(self, execution: ExecutionId) -> bool:
        row = self._executions.get(execution)
        return row is not None and row.status in UNFINISHED

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed", hint="open it again")
