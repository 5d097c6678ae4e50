"""The shelf and the audit of the PostgreSQL store: the port's words turned into writes and queries.

Must never know: sessions, or SQL beyond its names.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from stratarouter_runtime.audit import START, Head, Line
from stratarouter_runtime.ports import Audit, Kept, Shelf
from stratarouter_runtime.storage.postgres import audited
from stratarouter_runtime.storage.postgres.sql import statement
from stratarouter_runtime.storage.shelving import behind, check_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratarouter_runtime.ids import Tenant
    from stratarouter_runtime.storage.postgres.pool import Pool


class PostgresShelf(Shelf):
    """Documents in the table `shelf`. `check_writing` raises where the store may not be written."""

    def __init__(self, pool: Pool, check_writing: Callable[[], object]) -> None:
        self._pool = pool
        self._check_writing = check_writing

    @override
    async def put(
        self,
        tenant: Tenant,
        kind: str,
        name: str,
        body: bytes,
        *,
        at: int,
        by: str = "",
        expected: int | None = None,
        quota: int | None = None,
    ) -> int:
        self._check_writing()
        check_body(kind, name, body)
        wanted = Kept(tenant, kind, name, 0, body, at, at)
        return await self._pool.transact(partial(audited.put, wanted, by, expected, quota))

    @override
    async def get(self, tenant: Tenant, kind: str, name: str) -> Kept | None:
        rows = await self._pool.fetch(statement("shelf_get"), kind, tenant, name)
        return Kept(*rows[0]) if rows else None

    @override
    async def all(self, tenant: Tenant | None, kind: str, after: str = "", limit: int = 1_000) -> list[Kept]:
        if tenant is None:
            rows = await self._pool.fetch(statement("shelf_of_all"), kind, *behind(after), limit)
        else:
            rows = await self._pool.fetch(statement("shelf_of_tenant"), kind, tenant, after, limit)
        return [Kept(*row) for row in rows]

    @override
    async def remove(
        self, tenant: Tenant, kind: str, name: str, *, at: int, by: str = "", expected: int | None = None
    ) -> bool:
        self._check_writing()
        wanted = Kept(tenant, kind, name, 0, b"", at, at)
        return await self._pool.transact(partial(audited.remove, wanted, by, expected))


class PostgresAudit(Audit):
    """Lines in the table `audit`, and the head noted beside it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @override
    async def lines(self, after: int = 0, limit: int = 1_000) -> list[Line]:
        return [Line(*row) for row in await self._pool.fetch(statement("audit_lines"), after, limit)]

    @override
    async def head(self) -> Head:
        rows = await self._pool.fetch(statement("audit_head"))
        return Head(*rows[0]) if rows else START
