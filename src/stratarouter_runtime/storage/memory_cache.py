"""The reference for answers kept for reuse: entries in a dictionary.

Must never know: how other back-ends do it, or when an answer may be reused.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.ports import CacheEntry, CacheStore, Generation, Holding, Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stratarouter_runtime.ids import Digest, Tenant


class MemoryCache(CacheStore):
    """Entries in the order in which they were kept."""

    def __init__(self, check_open: Callable[[], None]) -> None:
        self._check_open = check_open
        self._entries: dict[tuple[Tenant, Digest], CacheEntry] = {}
        self._epochs: Counter[tuple[Tenant, str]] = Counter()
        self._revisions: Counter[tuple[Tenant, str]] = Counter()

    @override
    async def keep(self, entries: Sequence[CacheEntry]) -> None:
        self._check_open()
        for entry in entries:
            if entry.revision < self._revisions[entry.tenant, entry.space]:
                continue
            self._entries.pop((entry.tenant, entry.key), None)
            self._entries[entry.tenant, entry.key] = replace(entry, revision=0)

    @override
    async def find(self, tenant: Tenant, key: Digest) -> CacheEntry | None:
        self._check_open()
        return self._entries.get((tenant, key))

    @override
    async def group(self, tenant: Tenant, group: str, limit: int) -> list[CacheEntry]:
        self._check_open()
        found = [entry for entry in self._newest() if entry.tenant == tenant and entry.group == group != ""]
        return found[:limit]

    @override
    async def count(self, selection: Selection) -> int:
        self._check_open()
        return sum(_selected(entry, selection) for entry in self._entries.values())

    @override
    async def forget(self, selection: Selection) -> list[tuple[str, Digest]]:
        self._check_open()
        gone = [entry for entry in self._entries.values() if _selected(entry, selection)]
        for entry in gone:
            del self._entries[entry.tenant, entry.key]
        for space in {selection.space, *(entry.space for entry in gone)} - {None}:
            assert space is not None
            self._epochs[selection.tenant, space] += selection.whole
            self._revisions[selection.tenant, space] += 1
        return [(entry.space, entry.key) for entry in gone]

    @override
    async def generations(self) -> list[Generation]:
        self._check_open()
        return [
            Generation(tenant, space, self._epochs[tenant, space], revision)
            for (tenant, space), revision in sorted(self._revisions.items())
            if revision
        ]

    @override
    async def prune(self, now: int, most: int) -> int:
        self._check_open()
        live = [entry for entry in self._newest() if entry.expires >= now][:most]
        gone = len(self._entries) - len(live)
        self._entries = {(entry.tenant, entry.key): entry for entry in reversed(live)}
        return gone

    @override
    async def holdings(self, tenant: Tenant) -> list[Holding]:
        self._check_open()
        sizes: dict[str, list[int]] = {}
        for entry in self._entries.values():
            if entry.tenant == tenant:
                sizes.setdefault(entry.space, []).append(len(entry.body))
        return [Holding(space, len(each), sum(each)) for space, each in sorted(sizes.items())]

    def _newest(self) -> list[CacheEntry]:
        """All entries, newest first; those of one moment by when they came."""
        numbered = enumerate(self._entries.values())
        newest = sorted(numbered, key=lambda each: (each[1].created, each[0]), reverse=True)
        return [entry for _, entry in newest]


def _selected(entry: CacheEntry, wanted: Selection) -> bool:
    return (
        entry.tenant == wanted.tenant
        and wanted.space in (None, entry.space)
        and wanted.source in (None, entry.source)
        and wanted.key in (None, entry.key)
        and (wanted.tag is None or wanted.tag in entry.tags)
        and (wanted.before is None or entry.created < wanted.before)
    )
