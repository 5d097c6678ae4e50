"""Entries at hand in memory, bounded by bytes: the least recently used leave first.

Must never know: when an entry may be reused, or where it is kept for good.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from stratarouter_runtime.cache.answers import Answer
from stratarouter_runtime.ids import Digest, ExecutionId, Tenant

OVERHEAD: Final = 1_000
"""Bytes that an entry takes beside its texts and output, about."""


class Held(Struct, frozen=True):
    """An entry, unpacked. Times are in microseconds since the epoch."""

    tenant: Tenant
    key: Digest
    space: str
    group: str
    source: ExecutionId
    created: int
    expires: int
    tags: tuple[str, ...]
    answer: Answer

    @property
    def size(self) -> int:
        """The bytes it takes, about."""
        answer = self.answer
        return OVERHEAD + len(answer.output) + len(answer.vector) + 2 * sum(map(len, answer.texts))


class Front:
    """Entries by tenant and key."""

    def __init__(self, most: int) -> None:
        """Hold at most about `most` bytes."""
        self._most = most
        self._held: OrderedDict[tuple[Tenant, Digest], Held] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, tenant: Tenant, key: Digest) -> Held | None:
        """The entry of this key, which is now the most recently used."""
        held = self._held.get((tenant, key))
        if held is not None:
            self._held.move_to_end((tenant, key))
        return held

    def put(self, held: Held) -> None:
        """Hold an entry; what takes more than a quarter of all room is not held."""
        self.drop(held.tenant, held.key)
        if 4 * held.size > self._most:
            return
        self._held[held.tenant, held.key] = held
        self.bytes += held.size
        while self.bytes > self._most:
            _, gone = self._held.popitem(last=False)
            self.bytes -= gone.size

    def drop(self, tenant: Tenant, key: Digest) -> None:
        """Let go of an entry, where it is held."""
        held = self._held.pop((tenant, key), None)
        if held is not None:
            self.bytes -= held.size

    def drop_of(self, tenant: Tenant, space: str) -> None:
        """Let go of every entry of a space."""
        for held in [held for held in self._held.values() if (held.tenant, held.space) == (tenant, space)]:
            self.drop(held.tenant, held.key)
