"""Where kept answers are: in memory those used lately, in the store all of them.

What another process forgets is forgotten here within about a second. Must never know: when an
answer may be reused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stratarouter_runtime.cache.answers import Damaged, pack, unpack
from stratarouter_runtime.cache.front import Front, Held
from stratarouter_runtime.cache.groups import LARGEST, Group, Groups
from stratarouter_runtime.cache.written import Written
from stratarouter_runtime.errors import StoreError
from stratarouter_runtime.ports import CacheEntry, Selection

if TYPE_CHECKING:
    from stratarouter_runtime.cache.counts import Ledger
    from stratarouter_runtime.ids import Digest, Tenant
    from stratarouter_runtime.ports import CacheStore, Clock, Holding

GLANCE: Final = 1_000_000
"""Microseconds after which what other processes forgot is looked up again."""

KEPT: Final = 1_000_000
"""Entries that the store keeps at most."""


class Tiers:
    """Entries by key and by group. Belongs to one event loop; `close` it when done."""

    def __init__(self, store: CacheStore, clock: Clock, ledger: Ledger, room: int) -> None:
        """Hold at most about `room` bytes in memory, half of them with vectors."""
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._front = Front(room // 2)
        self._groups = Groups(room // 2)
        self._epochs: dict[tuple[Tenant, str], tuple[int, int]] = {}
        self._looked = -GLANCE
        self._written = Written(store, self._lost, self.prune)

    @property
    def stale(self) -> bool:
        """Whether others may have forgotten something since this process looked."""
        return self._clock.now() - self._looked > GLANCE

    def epoch(self, tenant: Tenant, space: str) -> int:
        """How often all of a space was forgotten, as far as is known here."""
        return self._epochs.get((tenant, space), (0, 0))[0]

    def at_hand(self, tenant: Tenant, key: Digest) -> Held | None:
        """The entry of this key, if it lies in memory."""
        return self._front.get(tenant, key)

    async def find(self, tenant: Tenant, key: Digest) -> Held | None:
        """The entry of this key. Raises `StoreError`."""
        held = self._front.get(tenant, key)
        if held is not None:
            return held
        entry = await self._store.find(tenant, key)
        held = None if entry is None else await self._opened(entry)
        if held is not None:
            self._front.put(held)
        return held

    async def group(self, tenant: Tenant, space: str, name: str) -> Group:
        """The entries of this group. Raises `StoreError`."""
        group = self._groups.get(tenant, name)
        if group is not None:
            return group
        from stratarouter_runtime.cache.matrix import Matrix  # noqa: PLC0415 - start-up: numpy when vectors come

        await self._written.flush()
        entries = await self._store.group(tenant, name, LARGEST)
        held = [held for entry in reversed(entries) if (held := await self._opened(entry)) is not None]
        return self._groups.put(tenant, space, name, Group(held, Matrix()))

    def put(self, held: Held) -> None:
        """Keep an entry: found at once, written to the store soon."""
        self._front.put(held)
        group = self._groups.get(held.tenant, held.group) if held.group else None
        if group is not None:
            group.put(held)
        self._written.put(_entry(held))

    async def count(self, selection: Selection) -> int:
        """How many entries `forget` would take away. Raises `StoreError`."""
        await self._written.flush()
        return await self._store.count(selection)

    async def forget(self, selection: Selection) -> list[str]:
        """Take entries away; the space of each. Raises `StoreError`."""
        await self._written.flush()
        gone = await self._store.forget(selection)
        self._looked = -GLANCE  # what the store tells now makes this process let go of them too
        await self.refresh()
        return [space for space, _ in gone]

    async def holdings(self, tenant: Tenant) -> list[Holding]:
        """What is kept, by space. Raises `StoreError`."""
        await self._written.flush()
        return await self._store.holdings(tenant)

    async def prune(self) -> int:
        """Take away what has expired, and what is too much; how many. Raises `StoreError`."""
        return await self._store.prune(self._clock.now(), KEPT)

    async def close(self) -> None:
        """Let what is on its way to the store arrive there."""
        await self._written.flush()

    async def refresh(self) -> None:
        """Let go of what this or another process has forgotten in the store."""
        if not self.stale:
            return
        self._looked = self._clock.now()
        try:
            generations = await self._store.generations()
        except StoreError:
            return
        for each in generations:
            place, told = (each.tenant, each.space), (each.epoch, each.revision)
            if self._epochs.get(place, (0, 0)) != told:
                self._epochs[place] = told
                self._front.drop_of(*place)
                self._groups.drop_of(*place)

    async def _opened(self, entry: CacheEntry) -> Held | None:
        """The entry, unpacked; a damaged one is dropped and counted."""
        try:
            answer = unpack(entry.body)
        except Damaged:
            self._ledger.fault(entry.tenant, entry.space, "damaged")
            await self._store.forget(Selection(entry.tenant, key=entry.key))
            return None
        return Held(
            tenant=entry.tenant,
            key=entry.key,
            space=entry.space,
            group=entry.group,
            source=entry.source,
            created=entry.created,
            expires=entry.expires,
            tags=entry.tags,
            answer=answer,
        )

    def _lost(self, entries: list[CacheEntry]) -> None:
        for entry in entries:
            self._ledger.fault(entry.tenant, entry.space, "store")


def _entry(held: Held) -> CacheEntry:
    return CacheEntry(
        tenant=held.tenant,
        key=held.key,
        space=held.space,
        group=held.group,
        source=held.source,
        created=held.created,
        expires=held.expires,
        tags=held.tags,
        body=pack(held.answer),
    )
