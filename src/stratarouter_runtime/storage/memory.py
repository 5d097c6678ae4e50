"""The reference store: what every other one must do, in the fewest words.

Nothing outlives the process. Must never know: how other back-ends do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.errors import StoreUnavailable
from stratarouter_runtime.ports import Deployed, Execution, Status, Store
from stratarouter_runtime.storage.rules import UNFINISHED, check_records, check_size, restated, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
    from stratarouter_runtime.state.events import Record


class MemoryStore(Store):
    """Executions, records, plans and deployments in dictionaries."""

    def __init__(self) -> None:
        self._executions: dict[ExecutionId, Execution] = {}
        self._records: dict[ExecutionId, list[Record]] = {}
        self._plans: dict[Digest, bytes] = {}
        self._deployed: dict[tuple[Tenant, FlowId], Deployed] = {}
        self._closed = False

    @override
    async def create(self, execution: Execution, records: Sequence[Record]) -> bool:
        self._check_open()
        check_size(execution.id, records)
        if execution.id in self._executions:
            return False
        check_records(execution.id, records, 0)
        self._executions[execution.id] = restated(replace(execution, records=0), records)
        self._records[execution.id] = list(records)
        return True

    @override
    async def append(
        self, execution: ExecutionId, records: Sequence[Record], status: Execution | None = None
    ) -> None:
        self._check_open()
        check_size(execution, records)
        current = self._executions.get(execution)
        if current is None:
            raise unknown(execution)
        check_records(execution, records, current.records)
        self._executions[execution] = restated(current, records, status)
        self._records[execution].extend(records)

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
    async def deploy(self, deployed: Deployed) -> None:
        self._check_open()
        self._deployed[deployed.tenant, deployed.flow] = deployed

    @override
    async def deployed(self, tenant: Tenant, flow: FlowId) -> Deployed | None:
        self._check_open()
        return self._deployed.get((tenant, flow))

    @override
    async def flows(self, tenant: Tenant) -> list[Deployed]:
        self._check_open()
        mine = [deployed for deployed in self._deployed.values() if deployed.tenant == tenant]
        return sorted(mine, key=lambda deployed: deployed.flow)

    @override
    async def close(self) -> None:
        self._closed = True

    def _by_age(self) -> list[Execution]:
        """All executions, oldest first; those of one moment in the order they came."""
        return sorted(self._executions.values(), key=lambda row: row.created)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed", hint="open it again")
