"""What tenants have used, in the PostgreSQL store: each in one transaction of its own.

Whoever counts for a tenant locks its row first, so no other process counts beside it. Executions under
a limit begin here and not in the lanes: they are few, and must be decided one after the other. Must
never know: sessions, or SQL beyond its names.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from stratarouter_runtime.errors import LeaseLost, StrataError
from stratarouter_runtime.ports import Quotas
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.storage.blobs import Parted, parted
from stratarouter_runtime.storage.postgres import blobs
from stratarouter_runtime.storage.postgres.batch import check_range
from stratarouter_runtime.storage.postgres.numbers import HALF
from stratarouter_runtime.storage.postgres.sql import statement, value
from stratarouter_runtime.storage.postgres.text import to_server
from stratarouter_runtime.storage.rows import columns_of
from stratarouter_runtime.storage.rules import check_records
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
    from collections.abc import Callable, Sequence

    import asyncpg

    from stratarouter_runtime.ids import FlowId, Tenant
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.storage.postgres.numbers import Numbers
    from stratarouter_runtime.storage.postgres.pool import Pool
    from stratarouter_runtime.tenancy.quotas import Admission


class PostgresQuotas(Quotas):
    """Counters in the table `tenants`; executions under way are counted in their own."""

    def __init__(self, pool: Pool, numbers: Numbers, check_writing: Callable[[], object]) -> None:
        self._pool = pool
        self._numbers = numbers
        self._check_writing = check_writing

    @override
    async def create(
        self, execution: Execution, records: Sequence[Record], lease: Lease, admission: Admission
    ) -> bool:
        self._check_writing()
        check_range(execution, records)
        facts, place = parted(execution.id, records), await self._numbers.take()
        begun: bool = await self._pool.transact(
            partial(_create, place, execution, records, facts, lease, admission)
        )
        return begun

    @override
    async def spend(self, tenant: Tenant, limit: int, now: int) -> Spent:
        self._check_writing()
        return await self._pool.transact(partial(_spend, tenant, limit, now))

    @override
    async def requests(self, tenant: Tenant, now: int) -> int:
        rows = await self._pool.fetch(statement("used"), tenant)
        return used(rows[0][2], now) if rows else 0

    @override
    async def started(self, tenant: Tenant, now: int) -> int:
        rows = await self._pool.fetch(statement("used"), tenant)
        day, started, _ = rows[0] if rows else (0, 0, b"")
        return started_on(day, started, day_of(now))[1]

    @override
    async def active(self, tenant: Tenant) -> int:
        return int((await self._pool.fetch(statement("active"), tenant))[0][0])

    @override
    async def totals(self, tenant: Tenant, flow: FlowId | None = None, since: int = 0) -> Totals:
        return Totals(*(await self._pool.fetch(statement("totals"), tenant, since, flow))[0])


async def _create(
    place: int,
    execution: Execution,
    records: Sequence[Record],
    facts: Parted,
    lease: Lease,
    admission: Admission,
    connection: asyncpg.Connection,
) -> bool | StrataError:
    tenant, now = execution.tenant, execution.created
    day, started, _ = await _lock(connection, tenant)
    if await value(connection, "exists", execution.id):
        return False
    check_records(execution.id, records, 0)
    day, started = started_on(day, started, day_of(now))
    try:
        check_daily(tenant, started, admission.daily, now)
        check_concurrent(tenant, await value(connection, "active", tenant), admission.concurrent)
    except StrataError as refusal:
        return refusal
    if lease != NOBODY and await value(connection, "lease_holds", lease) is None:
        return LeaseLost()
    if await value(connection, "create_limited", place, *columns_of(execution), lease) is None:
        return False
    await blobs.keep(connection, facts.blobs)
    rows = [(place, place & HALF, at, seq, body, link) for seq, at, body, link in facts.rows]
    await connection.executemany(statement("record"), rows)
    await blobs.refer(connection, [(place, digest) for digest in facts.blobs])
    await value(connection, "count_started", tenant, day, started + 1)
    return True


async def _spend(tenant: Tenant, limit: int, now: int, connection: asyncpg.Connection) -> Spent:
    _, _, window = await _lock(connection, tenant)
    kept, spent = slide(window, limit, now)
    if spent.allowed:
        await value(connection, "count_requests", tenant, kept)
    return spent


async def _lock(connection: asyncpg.Connection, tenant: Tenant) -> tuple[int, int, bytes]:
    """Day, executions started on it, and requests; nobody else counts until the transaction ends."""
    await value(connection, "tenant", tenant)
    row = await connection.fetchrow(statement("tenant_lock"), to_server(tenant))
    assert row is not None
    return row[0], row[1], row[2]
