"""The store on PostgreSQL: the port's words turned into writes and queries.

Must never know: sessions, batches, or SQL beyond its names.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from stratarouter_runtime.errors import StoreReadOnly, StoreUnavailable
from stratarouter_runtime.ports import Deployed, Execution, Status, Store
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage.blobs import check_whole
from stratarouter_runtime.storage.postgres import audited
from stratarouter_runtime.storage.postgres.address import Address, parse
from stratarouter_runtime.storage.postgres.batch import Append, Create, check_range
from stratarouter_runtime.storage.postgres.cache import PostgresCache
from stratarouter_runtime.storage.postgres.connection import connect
from stratarouter_runtime.storage.postgres.faults import closed
from stratarouter_runtime.storage.postgres.keeping import PostgresKeeping
from stratarouter_runtime.storage.postgres.lane import Lane
from stratarouter_runtime.storage.postgres.migrating import check_version, migrate
from stratarouter_runtime.storage.postgres.numbers import Numbers
from stratarouter_runtime.storage.postgres.pauses import Pauses
from stratarouter_runtime.storage.postgres.pool import Pool, release
from stratarouter_runtime.storage.postgres.quotas import PostgresQuotas
from stratarouter_runtime.storage.postgres.sharing import SPAN, PostgresLeases, PostgresMail
from stratarouter_runtime.storage.postgres.shelf import PostgresAudit, PostgresShelf
from stratarouter_runtime.storage.postgres.snapshots import PostgresSnapshots
from stratarouter_runtime.storage.postgres.sql import statement
from stratarouter_runtime.storage.postgres.writer import Writer
from stratarouter_runtime.storage.rows import execution_of
from stratarouter_runtime.storage.rules import unknown
from stratarouter_runtime.storage.statistics import Commits, WriterStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
    from stratarouter_runtime.sharing import Lease

LANES: Final = 2
"""Sessions that write."""

CONNECTIONS: Final = 10
"""Sessions in all, where nothing else is said."""

PATIENCE: Final = 30.0
"""Seconds that a request waits for a database that is away."""

OPENING: Final = 5.0
"""Seconds that opening waits for one that is not there yet."""


class PostgresStore(Store):
    """A store in one database. Without a writer it only reads. Used from one event loop."""

    def __init__(
        self,
        address: Address,
        pool: Pool,
        numbers: Numbers,
        writer: Writer | None = None,
        leases: PostgresLeases | None = None,
    ) -> None:
        self.place = address.place
        self._pool = pool
        self._numbers = numbers
        self._writer = writer
        self._closed = False
        self.leases = leases or PostgresLeases(pool)
        if writer is not None:
            self.leases.taken = writer.forget
        self.mail = PostgresMail(pool)
        self.shelf = PostgresShelf(pool, self._writing)
        self.cache = PostgresCache(pool, self._writing)
        self.snapshots = PostgresSnapshots(pool, self._writing)
        self.audit = PostgresAudit(pool)
        self.quotas = PostgresQuotas(pool, numbers, self._writing)
        self.keeping = PostgresKeeping(pool, self._writing)

    @override
    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        check_range(execution, records)
        writer = self._writing()
        return bool(await writer.submit(Create(await self._numbers.take(), execution, records, lease)))

    @override
    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        check_range(status, records)
        await self._writing().submit(Append(execution, records, status, lease))

    @override
    async def read(self, execution: ExecutionId, after: int = -1) -> list[Record]:
        rows = await self._pool.fetch(statement("read"), execution, after)
        return check_whole(execution, [Record(*row) for row in rows])

    @override
    async def find(self, execution: ExecutionId) -> Execution | None:
        rows = await self._pool.fetch(f"{statement('listed')} {statement('find')}", execution)
        return execution_of(rows[0]) if rows else None

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
        wanted: list[Any] = []
        clauses: list[str] = []

        def want(clause: str, *values: Any) -> None:
            clauses.append(clause.format(*(f"${len(wanted) + 1 + place}" for place in range(len(values)))))
            wanted.extend(values)

        if tenant is not None:
            want("tenant = {}", tenant)
        if flow is not None:
            want("flow = {}", flow)
        if status:
            want("status = ANY({}::text[])", list(status))
        if before is not None:
            want("(created, execution) < ({}, {})", *await self._cursor(before, tenant))
        condition = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"{statement('listed')} {condition} {statement('newest')} ${len(wanted) + 1}"
        return [execution_of(row) for row in await self._pool.fetch(query, *wanted, limit)]

    @override
    async def unfinished(self) -> list[Execution]:
        rows = await self._pool.fetch(f"{statement('listed')} {statement('unfinished')}")
        return [execution_of(row) for row in rows]

    @override
    async def keep_plan(self, plan: Digest, document: bytes) -> None:
        self._writing()
        await self._pool.keep_plan(plan, document)

    @override
    async def plan(self, plan: Digest) -> bytes | None:
        rows = await self._pool.fetch(statement("plan"), plan)
        return rows[0][0] if rows else None

    @override
    async def deploy(self, deployed: Deployed, *, by: str = "", quota: int | None = None) -> None:
        self._writing()
        await self._pool.transact(partial(audited.deploy, deployed, by, quota))

    @override
    async def retire(self, tenant: Tenant, flow: FlowId, *, at: int, by: str = "") -> bool:
        self._writing()
        return await self._pool.transact(partial(audited.retire, tenant, flow, at, by))

    @override
    async def deployed(self, tenant: Tenant, flow: FlowId) -> Deployed | None:
        rows = await self._pool.fetch(statement("deployed"), tenant, flow)
        return Deployed(*rows[0]) if rows else None

    @override
    async def flows(self, tenant: Tenant, after: str = "", limit: int | None = None) -> list[Deployed]:
        rows = await self._pool.fetch(statement("flows"), tenant, after, limit)
        return [Deployed(*row) for row in rows]

    @override
    async def deployed_plans(self, tenant: Tenant) -> dict[FlowId, Digest]:
        return dict(await self._pool.fetch(statement("deployed_plans"), tenant))

    @override
    async def probe(self) -> None:
        self._writing()
        await self._pool.fetch(statement("probe"))

    @override
    def stats(self) -> WriterStats:
        return Commits().stats() if self._writer is None else self._writer.commits.stats(self._writer.waiting)

    @override
    async def close(self) -> None:
        """Commit what waits, and let go of every connection."""
        self._closed = True
        if self._writer is not None:
            await self._writer.close()
        await self._pool.close()

    def _writing(self) -> Writer:
        if self._closed:
            raise closed()
        if self._writer is None:
            raise StoreReadOnly(
                f"the database at {self.place} was opened for reading only",
                hint="open it for writing",
            )
        return self._writer

    async def _cursor(self, before: ExecutionId, tenant: Tenant | None) -> tuple[int, int]:
        """Where an execution stands in the order; `NotFound` for another tenant's like for none."""
        rows = await self._pool.fetch(statement("cursor"), before)
        if not rows or tenant not in (None, rows[0][2]):
            raise unknown(before)
        return rows[0][0], rows[0][1]


async def open_store(
    url: str,
    *,
    connections: int = CONNECTIONS,
    patience: float = PATIENCE,
    opening: float = OPENING,
    span: float = SPAN,
) -> PostgresStore:
    """Open the store in the database of this URL, bringing its schema up to date first.

    `connections` bounds the sessions; a request waits `patience` seconds for a database that
    went away, and this call `opening` seconds for one that is not there yet. Leases hold for `span`
    seconds. Raises `StoreUnavailable` where it cannot be reached, `StoreVersion` for the schema of a
    newer runtime, and `StoreError` for what waiting does not mend.
    """
    address = parse(url)
    await _prepare(address, opening, readonly=False)
    async with AsyncExitStack() as opened:
        pool = Pool(address, max(connections - LANES, 1), patience)
        opened.push_async_callback(pool.close)
        numbers = Numbers(pool.number)
        lanes = [Lane(address, await numbers.take(), patience) for _ in range(LANES)]
        for lane in lanes:
            opened.push_async_callback(lane.close)
            await lane.open()
        opened.pop_all()
    leases = PostgresLeases(pool, [lane.lock for lane in lanes], span)
    return PostgresStore(address, pool, numbers, Writer(lanes, numbers, address, patience), leases)


async def open_readonly(
    url: str,
    *,
    connections: int = CONNECTIONS,
    patience: float = PATIENCE,
    opening: float = OPENING,
    span: float = SPAN,
) -> PostgresStore:
    """Read a store, changing nothing; raises like `open_store`."""
    address = parse(url)
    await _prepare(address, opening, readonly=True)
    pool = Pool(address, connections, patience, readonly=True)
    return PostgresStore(address, pool, Numbers(pool.number), leases=PostgresLeases(pool, span=span))


async def _prepare(address: Address, opening: float, *, readonly: bool) -> None:
    """Wait for the database, and see that its schema is ours."""
    pauses = Pauses(asyncio.get_running_loop().time() + opening)
    while True:
        try:
            connection = await connect(address, readonly=readonly)
            try:
                await (check_version if readonly else migrate)(connection, address)
            finally:
                await release(connection)
        except StoreUnavailable:
            if not await pauses.over():
                raise
        else:
            return
