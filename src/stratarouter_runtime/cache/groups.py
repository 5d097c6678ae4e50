"""Entries among which one may be found by meaning: their texts, and their vectors in a matrix.

Must never know: when one may be reused, or where they are kept for good.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.cache.reading import read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stratarouter_runtime.cache.front import Held
    from stratarouter_runtime.cache.matrix import Matrix
    from stratarouter_runtime.ids import Digest, Tenant

OVERHEAD: Final = 2_000
"""Bytes of a group without entries, about."""

LARGEST: Final = 10_000
"""Entries of a group in memory; beyond that the oldest make room."""


class Group:
    """The entries of one fingerprint. `matrix` is empty."""

    def __init__(self, entries: Iterable[Held], matrix: Matrix) -> None:
        self._matrix = matrix
        self._places: dict[Digest, int] = {}
        self._held: list[Held | None] = []
        self._normal: dict[tuple[str, ...], Digest] = {}
        self._spare: list[int] = []
        self._next = 0
        self._bytes = OVERHEAD
        for held in entries:
            self.put(held)

    @property
    def size(self) -> int:
        """The bytes it takes, about."""
        return self._bytes + self._matrix.size

    def shorten(self) -> bool:
        """Let go of the entry that has been here longest; False where there is none."""
        for key in self._places:
            self.drop(key)
            return True
        return False

    def put(self, held: Held) -> None:
        """Add an entry, or replace the one with its key."""
        place = self._places.get(held.key)
        if place is None:
            place = self._free()
        else:
            self._empty(place)
            self._spare.remove(place)
        self._held[place] = held
        self._places[held.key] = place
        self._normal[normal(held.answer.texts)] = held.key
        self._bytes += held.size
        if held.answer.vector:
            self._matrix.put(place, held.answer.vector, len(held.answer.texts))

    def drop(self, key: Digest) -> None:
        """Take an entry away, where it is here."""
        place = self._places.get(key)
        if place is not None:
            self._empty(place)

    def same(self, texts: tuple[str, ...]) -> Held | None:
        """The last entry whose texts have the same normal form."""
        key = self._normal.get(normal(texts))
        return None if key is None else self._held[self._places[key]]

    def nearest(self, vector: bytes, least: float, most: int) -> list[tuple[Held, float]]:
        """The nearest entries with the least cosine of their texts, nearest first."""
        found = self._matrix.nearest(vector, least, most)
        return [(held, cosine) for place, cosine in found if (held := self._held[place]) is not None]

    def _free(self) -> int:
        if self._spare:
            return self._spare.pop()
        if len(self._held) < LARGEST:
            self._held.append(None)
            return len(self._held) - 1
        place, self._next = self._next, (self._next + 1) % LARGEST
        self._empty(place)
        return self._spare.pop()

    def _empty(self, place: int) -> None:
        held = self._held[place]
        if held is None:
            return
        self._held[place] = None
        self._spare.append(place)
        self._matrix.drop(place)
        del self._places[held.key]
        self._bytes -= held.size
        if self._normal.get(normal(held.answer.texts)) == held.key:
            del self._normal[normal(held.answer.texts)]


def normal(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The normal forms of these texts."""
    return tuple(read(text).normal for text in texts)


class Groups:
    """Groups by tenant and fingerprint, bounded by bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: OrderedDict[tuple[Tenant, str], tuple[str, Group]] = OrderedDict()
        self.size = 0

    def get(self, tenant: Tenant, group: str) -> Group | None:
        """The group of this fingerprint, if it is at hand."""
        found = self._groups.get((tenant, group))
        if found is None:
            return None
        self._groups.move_to_end((tenant, group))
        return found[1]

    def put(self, tenant: Tenant, space: str, name: str, group: Group) -> Group:
        """Hold a group, letting go of those least recently used."""
        self._drop((tenant, name))
        self._groups[tenant, name] = (space, group)
        self._grown(group, 0)
        return group

    def add(self, held: Held) -> None:
        """Add an entry to its group, where that is held."""
        group = self.get(held.tenant, held.group)
        if group is not None:
            before = group.size
            group.put(held)
            self._grown(group, before)

    def drop(self, tenant: Tenant, space: str, key: Digest) -> None:
        """Take the entry of this key out of every group of a space."""
        for (owner, _), (of, group) in self._groups.items():
            if (owner, of) == (tenant, space):
                before = group.size
                group.drop(key)
                self.size += group.size - before

    def drop_of(self, tenant: Tenant, space: str) -> None:
        """Let go of every group of a space."""
        for place in [place for place, (of, _) in self._groups.items() if (place[0], of) == (tenant, space)]:
            self._drop(place)

    def _drop(self, place: tuple[Tenant, str]) -> None:
        found = self._groups.pop(place, None)
        if found is not None:
            self.size -= found[1].size

    def _grown(self, group: Group, before: int) -> None:
        """Make room for what a group, the last used, has grown by: of others first, then of itself."""
        self.size += group.size - before
        while self.size > self._most and len(self._groups) > 1:
            self._drop(next(iter(self._groups)))
        while self.size > self._most:
            before = group.size
            if not group.shorten():
                return
            self.size += group.size - before
