"""Answers kept for reuse in the SQLite store: the port's words turned into writes and queries.

Must never know: threads, transactions, or when an answer may be reused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from stratarouter_runtime.ids import Digest
from stratarouter_runtime.ports import CacheEntry, CacheStore, Generation, Holding, Selection
from stratarouter_runtime.storage.sqlite.sql import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import Tenant
    from stratarouter_runtime.storage.sqlite.reader import Reader
    from stratarouter_runtime.storage.sqlite.transaction import Transaction
    from stratarouter_runtime.storage.sqlite.writes import Submit


class SqliteCache(CacheStore):
    """Entries in the table `cache_entries`."""

    def __init__(self, reader: Reader, submit: Submit) -> None:
        self._reader = reader
        self._submit = submit

    @override
    async def keep(self, entries: Sequence[CacheEntry]) -> None:
        rows = [_row(entry) for entry in entries]

        def write(transaction: Transaction) -> None:
            transaction.connection.executemany(statement("cache_keep"), rows)

        await self._submit(write, len(rows))

    @override
    async def find(self, tenant: Tenant, key: Digest) -> CacheEntry | None:
        rows = self._reader.look(statement("cache_find"), {"tenant": tenant, "key": key})
        return _entry(rows[0]) if rows else None

    @override
    async def group(self, tenant: Tenant, group: str, limit: int) -> list[CacheEntry]:
        wanted = {"tenant": tenant, "group": group, "limit": limit}
        return [_entry(row) for row in await self._reader.fetch(statement("cache_group"), wanted)]

    @override
    async def count(self, selection: Selection) -> int:
        query = f"{statement('cache_count')} {statement('cache_selected')}"
        rows = await self._reader.fetch(query, msgspec.structs.asdict(selection))
        return int(rows[0][0])

    @override
    async def forget(self, selection: Selection) -> list[tuple[str, Digest]]:
        query = " ".join(statement(name) for name in ("cache_forget", "cache_selected", "cache_forgotten"))
        wanted = msgspec.structs.asdict(selection)

        def write(transaction: Transaction) -> list[tuple[str, Digest]]:
            gone = transaction.connection.execute(query, wanted).fetchall()
            for space in {selection.space, *(space for space, _ in gone)} - {None}:
                step = {"tenant": selection.tenant, "space": space, "epoch": int(selection.whole)}
                transaction.connection.execute(statement("cache_next"), step)
            return [(str(space), Digest(str(key))) for space, key in gone]

        return await self._submit(write, 1)

    @override
    async def generations(self) -> list[Generation]:
        return [Generation(*row) for row in await self._reader.fetch(statement("cache_generations"))]

    @override
    async def prune(self, now: int, most: int) -> int:
        def write(transaction: Transaction) -> int:
            transaction.connection.execute(statement("cache_expire"), {"now": now})
            expired = transaction.connection.changes()
            transaction.connection.execute(statement("cache_shorten"), {"most": most})
            return int(expired + transaction.connection.changes())

        return await self._submit(write, 1)

    @override
    async def holdings(self, tenant: Tenant) -> list[Holding]:
        return [
            Holding(*row) for row in await self._reader.fetch(statement("cache_holdings"), {"tenant": tenant})
        ]


def _row(entry: CacheEntry) -> dict[str, Any]:
    return msgspec.structs.asdict(entry) | {"tags": msgspec.json.encode(entry.tags).decode()}


def _entry(row: tuple[Any, ...]) -> CacheEntry:
    tenant, key, space, group, source, created, expires, tags, body = row
    told = tuple(msgspec.json.decode(tags))
    return CacheEntry(tenant, key, space, group, source, created, expires, told, body)
