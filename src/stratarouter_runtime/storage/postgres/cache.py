"""Answers kept for reuse in the PostgreSQL store: the port's words turned into writes and queries.

Must never know: sessions, or when an answer may be reused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from stratarouter_runtime.ports import CacheEntry, CacheStore, Generation, Holding, Selection
from stratarouter_runtime.storage.postgres.sql import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import asyncpg

    from stratarouter_runtime.ids import Digest, Tenant
    from stratarouter_runtime.storage.postgres.pool import Pool


class PostgresCache(CacheStore):
    """Entries in the table `cache_entries`. `check_writing` raises where the store may not be written."""

    def __init__(self, pool: Pool, check_writing: Callable[[], object]) -> None:
        self._pool = pool
        self._check_writing = check_writing

    @override
    async def keep(self, entries: Sequence[CacheEntry]) -> None:
        self._check_writing()
        # In the order of keys, so that two processes never wait for each other in a circle.
        rows = [_row(entry) for entry in sorted(entries, key=lambda entry: (entry.tenant, entry.key))]

        async def change(connection: asyncpg.Connection) -> None:
            await connection.execute(statement("cache_keeping"))
            await connection.executemany(statement("cache_keep"), rows)

        await self._pool.transact(change)

    @override
    async def find(self, tenant: Tenant, key: Digest) -> CacheEntry | None:
        rows = await self._pool.fetch(statement("cache_find"), tenant, key)
        return _entry(rows[0]) if rows else None

    @override
    async def group(self, tenant: Tenant, group: str, limit: int) -> list[CacheEntry]:
        rows = await self._pool.fetch(statement("cache_group"), tenant, group, limit)
        return [_entry(row) for row in rows]

    @override
    async def count(self, selection: Selection) -> int:
        query = f"{statement('cache_count')} {statement('cache_selected')}"
        rows = await self._pool.fetch(query, *_wanted(selection))
        return int(rows[0][0])

    @override
    async def forget(self, selection: Selection) -> list[tuple[str, Digest]]:
        self._check_writing()
        query = " ".join(statement(name) for name in ("cache_forget", "cache_selected", "cache_forgotten"))

        async def change(connection: asyncpg.Connection) -> list[tuple[str, Digest]]:
            await connection.execute(statement("cache_forgetting"))
            gone = await connection.fetch(query, *_wanted(selection))
            for space in _spaces(selection, [row[0] for row in gone]):
                await connection.execute(
                    statement("cache_next"), selection.tenant, space, int(selection.whole)
                )
            return [(row[0], row[1]) for row in gone]

        return await self._pool.transact(change)

    @override
    async def generations(self) -> list[Generation]:
        return [Generation(*row) for row in await self._pool.fetch(statement("cache_generations"))]

    @override
    async def prune(self, now: int, most: int) -> int:
        self._check_writing()

        async def change(connection: asyncpg.Connection) -> int:
            expired = await connection.fetch(statement("cache_expire"), now)
            return len(expired) + len(await connection.fetch(statement("cache_shorten"), most))

        return await self._pool.transact(change)

    @override
    async def holdings(self, tenant: Tenant) -> list[Holding]:
        return [Holding(*row) for row in await self._pool.fetch(statement("cache_holdings"), tenant)]


def _spaces(selection: Selection, gone: list[str]) -> list[str]:
    """The spaces from which something is taken, in one order for all processes."""
    return sorted({*gone, *([] if selection.space is None else [selection.space])})


def _wanted(selection: Selection) -> tuple[Any, ...]:
    return (
        selection.tenant,
        selection.space,
        selection.tag,
        selection.before,
        selection.source,
        selection.key,
    )


def _row(entry: CacheEntry) -> tuple[Any, ...]:
    return (
        entry.tenant,
        entry.key,
        entry.space,
        entry.group,
        entry.source,
        entry.created,
        entry.expires,
        list(entry.tags),
        entry.body,
        entry.revision,
    )


def _entry(row: Any) -> CacheEntry:
    tenant, key, space, group, source, created, expires, tags, body = row
    return CacheEntry(tenant, key, space, group, source, created, expires, tuple(tags), body)
