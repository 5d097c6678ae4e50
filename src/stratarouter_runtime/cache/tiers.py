"""Where kept answers are: in memory those used lately, in the store all of them.

What another process forgets is forgotten here within about a second. Must never know: when an
answer may be reused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
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


SLICE: Final = 64
"""Entries of a group that are read in one go."""


@dataclass(slots=True, eq=False)
class _Build:
    """A group that is being read, and what was put into it meanwhile."""

    task: asyncio.Task[Group]
    late: list[Held] = field(default_factory=list)


class Tiers:
    """Entries by key and by group. Belongs to one event loop; `close` it when done."""

    def __init__(self, store: CacheStore, clock: Clock, ledger: Ledger, room: int) -> None:
        """Hold at most about `room` bytes in memory, half of them with vectors."""
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._front = Front(room // 2)
        self._groups = Groups(room // 2)
        self._generations: dict[tuple[Tenant, str], tuple[int, int]] = {}
        self._looked: int | None = None
        self._changes = 0
        self._builds: dict[tuple[Tenant, str], _Build] = {}
        self._written = Written(store, self._lost, self.prune)

    @property
    def stale(self) -> bool:
        """Whether others may have forgotten something since this process looked."""
        # A clock that was set back counts as time that has passed.
        return self._looked is None or abs(self._clock.now() - self._looked) > GLANCE

    def generation(self, tenant: Tenant, space: str) -> tuple[int, int]:
        """How often all of a space was forgotten, and how often anything of it, as far as is known here."""
        return self._generations.get((tenant, space), _FIRST)

    def at_hand(self, tenant: Tenant, key: Digest) -> Held | None:
        """The entry of this key, if it lies in memory."""
        return self._front.get(tenant, key)

    async def find(self, tenant: Tenant, key: Digest) -> Held | None:
        """The entry of this key. Raises `StoreError`."""
        held = self._front.get(tenant, key)
        if held is not None:
            return held
        changes = self._changes
        entry = await self._store.find(tenant, key)
        held = None if entry is None else await self._opened(entry)
        if held is None or changes != self._changes:
            return None  # what was forgotten meanwhile must not come back
        self._front.put(held)
        return held

    async def group(self, tenant: Tenant, space: str, name: str) -> Group:
        """The entries of this group; read once, however many ask meanwhile. Raises `StoreError`."""
        group = self._groups.get(tenant, name)
        if group is not None:
            return group
        build = self._builds.get((tenant, name))
        if build is None:
            task = asyncio.get_running_loop().create_task(
                self._build(tenant, space, name), name="cache-group"
            )
            build = self._builds[tenant, name] = _Build(task)
        return await asyncio.shield(build.task)

    async def _build(self, tenant: Tenant, space: str, name: str) -> Group:
        """Read a group, a few entries at a time: to read ten thousand texts takes a good part of a second."""
        from stratarouter_runtime.cache.matrix import Matrix  # noqa: PLC0415 - start-up: numpy when vectors come

        try:
            await self._written.flush()
            changes, group = self._changes, Group((), Matrix())
            for number, entry in enumerate(reversed(await self._store.group(tenant, name, LARGEST)), 1):
                held = await self._opened(entry)
                if held is not None:
                    group.put(held)
                if number % SLICE == 0:
                    await asyncio.sleep(0)
            if changes != self._changes:  # what was forgotten meanwhile must not come back
                return Group((), Matrix())
            for held in self._builds[tenant, name].late:
                group.put(held)
            return self._groups.put(tenant, space, name, group)
        finally:
            del self._builds[tenant, name]

    def put(self, held: Held, revision: int) -> bool:
        """Keep an entry: found at once, written to the store soon; False where it comes too late.

        `revision` is that of its space when it was asked for.
        """
        if self.generation(held.tenant, held.space)[1] != revision:
            return False
        self._front.put(held)
        self._in_group(held)
        self._written.put(_entry(held, revision))
        return True

    def _in_group(self, held: Held) -> None:
        if held.answer.texts and not held.answer.vector:  # the encoder failed, and may have had another group
            self._groups.drop(held.tenant, held.space, held.key)
        build = self._builds.get((held.tenant, held.group))
        if build is not None:
            build.late.append(held)
        elif held.group:
            self._groups.add(held)

    async def count(self, selection: Selection) -> int:
        """How many entries `forget` would take away. Raises `StoreError`."""
        await self._written.flush()
        return await self._store.count(selection)

    async def forget(self, selection: Selection) -> list[str]:
        """Take entries away; the space of each. Raises `StoreError`."""
        await self._written.flush()
        gone = await self._store.forget(selection)
        spaces = [space for space, _ in gone]
        for space in {*spaces, *([] if selection.space is None else [selection.space])}:
            self._let_go(selection.tenant, space)  # whether the store answers once more or not
        self._looked = None
        await self.refresh()
        return spaces

    async def holdings(self, tenant: Tenant) -> list[Holding]:
        """What is kept, by space. Raises `StoreError`."""
        await self._written.flush()
        return await self._store.holdings(tenant)

    async def prune(self) -> int:
        """Take away what has expired, and what is too much; how many. Raises `StoreError`."""
        return await self._store.prune(self._clock.now(), KEPT)

    async def close(self) -> None:
        """Let what is on its way to the store arrive there; groups that are being read are given up."""
        builds = [build.task for build in self._builds.values()]
        for task in builds:
            task.cancel()
        await asyncio.gather(*builds, return_exceptions=True)
        await self._written.flush()

    async def refresh(self) -> None:
        """Let go of what this or another process has forgotten in the store."""
        if not self.stale:
            return
        before, self._looked = self._looked, self._clock.now()
        try:
            generations = await self._store.generations()
        except StoreError:
            if before is None:  # what was forgotten here has to be known before anything is at hand
                self._looked = None
            return
        for each in generations:
            place, told = (each.tenant, each.space), (each.epoch, each.revision)
            # What was read before something was forgotten may arrive behind what was read after it.
            if told[1] > self._generations.get(place, _FIRST)[1]:
                self._generations[place] = told
                self._let_go(*place)

    def _let_go(self, tenant: Tenant, space: str) -> None:
        self._changes += 1
        self._front.drop_of(tenant, space)
        self._groups.drop_of(tenant, space)

    async def _opened(self, entry: CacheEntry) -> Held | None:
        """The entry, unpacked; a damaged one is dropped and counted."""
        try:
            answer = unpack(entry.body)
        except Damaged:
            self._ledger.fault(entry.tenant, entry.space, "damaged")
            await self._store.forget(Selection(entry.tenant, key=entry.key))
            self._looked = None
            await self.refresh()
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


_FIRST: Final = (0, 0)


def _entry(held: Held, revision: int) -> CacheEntry:
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
        revision=revision,
    )
