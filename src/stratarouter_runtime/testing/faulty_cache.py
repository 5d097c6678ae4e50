"""Answers kept for reuse, as one process of a store in bad weather has them.

Must never know: why the weather changes, or what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from stratarouter_runtime.ports import CacheEntry, CacheStore, Generation, Holding, Selection

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Digest, Tenant
    from stratarouter_runtime.testing.faulty_sharing import Through


class FaultyCache(CacheStore):
    """Around the one of another store: what is read takes its time, what is written may fail."""

    def __init__(self, kept: CacheStore, read: Through, write: Through) -> None:
        self._kept = kept
        self._read = read
        self._write = write

    @override
    async def keep(self, entries: Sequence[CacheEntry]) -> None:
        await self._write(partial(self._kept.keep, entries))

    @override
    async def find(self, tenant: Tenant, key: Digest) -> CacheEntry | None:
        found: CacheEntry | None = await self._read(partial(self._kept.find, tenant, key))
        return found

    @override
    async def group(self, tenant: Tenant, group: str, limit: int) -> list[CacheEntry]:
        found: list[CacheEntry] = await self._read(partial(self._kept.group, tenant, group, limit))
        return found

    @override
    async def count(self, selection: Selection) -> int:
        return int(await self._read(partial(self._kept.count, selection)))

    @override
    async def forget(self, selection: Selection) -> list[tuple[str, Digest]]:
        gone: list[tuple[str, Digest]] = await self._write(partial(self._kept.forget, selection))
        return gone

    @override
    async def generations(self) -> list[Generation]:
        found: list[Generation] = await self._read(self._kept.generations)
        return found

    @override
    async def prune(self, now: int, most: int) -> int:
        return int(await self._write(partial(self._kept.prune, now, most)))

    @override
    async def holdings(self, tenant: Tenant) -> list[Holding]:
        found: list[Holding] = await self._read(partial(self._kept.holdings, tenant))
        return found
