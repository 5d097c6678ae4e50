"""What tenants have used, in the SQLite store: counted by the writer, in the transaction it is about.

Must never know: threads, or SQL beyond its names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from stratarouter_runtime.ports import Quotas
from stratarouter_runtime.storage.sqlite import writes
from stratarouter_runtime.storage.sqlite.sql import statement
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
    from collections.abc import Sequence

    from stratarouter_runtime.ids import FlowId, Tenant
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.storage.sqlite.reader import Reader
    from stratarouter_runtime.storage.sqlite.transaction import Transaction
    from stratarouter_runtime.storage.sqlite.writes import Submit, Write
    from stratarouter_runtime.tenancy.quotas import Admission

_UNUSED = (0, 0, b"")


class SqliteQuotas(Quotas):
    """Counters in the table `tenants`; executions under way are counted in their own."""

    def __init__(self, reader: Reader, submit: Submit) -> None:
        self._reader = reader
        self._submit = submit

    @override
    async def create(
        self, execution: Execution, records: Sequence[Record], lease: Lease, admission: Admission
    ) -> bool:
        create = writes.create(execution, records, lease)
        return await self._submit(_admitted(execution, admission, create), 2 + len(records))

    @override
    async def spend(self, tenant: Tenant, limit: int, now: int) -> Spent:
        return await self._submit(_spend(tenant, limit, now))

    @override
    async def requests(self, tenant: Tenant, now: int) -> int:
        rows = self._reader.look(statement("used"), {"tenant": tenant})
        return used(rows[0][2], now) if rows else 0

    @override
    async def started(self, tenant: Tenant, now: int) -> int:
        rows = self._reader.look(statement("used"), {"tenant": tenant})
        day, started, _ = rows[0] if rows else _UNUSED
        return started_on(day, started, day_of(now))[1]

    @override
    async def active(self, tenant: Tenant) -> int:
        return int(self._reader.look(statement("active"), {"tenant": tenant})[0][0])

    @override
    async def totals(self, tenant: Tenant, flow: FlowId | None = None, since: int = 0) -> Totals:
        wanted = {"tenant": tenant, "flow": flow, "since": since}
        return Totals(*(await self._reader.fetch(statement("totals"), wanted))[0])


def _admitted(execution: Execution, admission: Admission, create: Write[bool]) -> Write[bool]:
    """Begin an execution if its tenant may have one more, and count it."""
    tenant, now = execution.tenant, execution.created

    def write(transaction: Transaction) -> bool:
        if transaction.head(execution.id) is not None:
            return False
        connection = transaction.connection
        day, started, _ = _used(transaction, tenant)
        day, started = started_on(day, started, day_of(now))
        check_daily(tenant, started, admission.daily, now)
        active = connection.execute(statement("active"), {"tenant": tenant}).get
        check_concurrent(tenant, active, admission.concurrent)
        if not create(transaction):
            return False
        head = transaction.head(execution.id)
        assert head is not None
        connection.execute(statement("limit_execution"), {"execution": head.execution})
        counted = {"tenant": tenant, "day": day, "started": started + 1}
        connection.execute(statement("count_started"), counted)
        return True

    return write


def _spend(tenant: Tenant, limit: int, now: int) -> Write[Spent]:
    def write(transaction: Transaction) -> Spent:
        window, spent = slide(_used(transaction, tenant)[2], limit, now)
        if spent.allowed:
            counted = {"tenant": tenant, "requests": window}
            transaction.connection.execute(statement("count_requests"), counted)
        return spent

    return write


def _used(transaction: Transaction, tenant: Tenant) -> tuple[Any, ...]:
    row = transaction.connection.execute(statement("used"), {"tenant": tenant}).fetchone()
    return _UNUSED if row is None else row
