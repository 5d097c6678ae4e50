"""The shelf and the audit of the SQLite store: the port's words turned into writes and queries.

Must never know: threads, transactions, or SQL beyond its names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from stratarouter_runtime.audit import START, Head, Line
from stratarouter_runtime.ports import Audit, Kept, Shelf
from stratarouter_runtime.storage.shelving import behind, check_body
from stratarouter_runtime.storage.sqlite import audited
from stratarouter_runtime.storage.sqlite.sql import statement

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Tenant
    from stratarouter_runtime.storage.sqlite.reader import Reader
    from stratarouter_runtime.storage.sqlite.writes import Submit


class SqliteShelf(Shelf):
    """Documents in the table `shelf`."""

    def __init__(self, reader: Reader, submit: Submit) -> None:
        self._reader = reader
        self._submit = submit

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
        check_body(kind, name, body)
        wanted = Kept(tenant, kind, name, 0, body, at, at)
        return await self._submit(audited.put(wanted, by, expected, quota), 3)

    @override
    async def get(self, tenant: Tenant, kind: str, name: str) -> Kept | None:
        rows = self._reader.look(statement("shelf_get"), {"kind": kind, "tenant": tenant, "name": name})
        return Kept(*rows[0]) if rows else None

    @override
    async def all(self, tenant: Tenant | None, kind: str, after: str = "", limit: int = 1_000) -> list[Kept]:
        wanted: dict[str, Any] = {"kind": kind, "limit": limit}
        if tenant is None:
            first, second = behind(after)
            query, wanted = statement("shelf_of_all"), wanted | {"tenant": first, "name": second}
        else:
            query, wanted = statement("shelf_of_tenant"), wanted | {"tenant": tenant, "name": after}
        return [Kept(*row) for row in await self._reader.fetch(query, wanted)]

    @override
    async def remove(
        self, tenant: Tenant, kind: str, name: str, *, at: int, by: str = "", expected: int | None = None
    ) -> bool:
        return await self._submit(audited.remove(tenant, kind, name, at, by, expected), 3)


class SqliteAudit(Audit):
    """Lines in the table `audit`, and the head noted beside it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @override
    async def lines(self, after: int = 0, limit: int = 1_000) -> list[Line]:
        wanted = {"after": after, "limit": limit}
        return [Line(*row) for row in await self._reader.fetch(statement("audit_lines"), wanted)]

    @override
    async def head(self) -> Head:
        rows = self._reader.look(statement("audit_head"))
        return Head(*rows[0]) if rows else START
