"""What keeps a store small and sound: how much it holds, what may go, and what is wrong with it.

Times are microseconds since the epoch (UTC). Must never know: an implementation, or when
anything may go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from stratarouter_runtime.ids import ExecutionId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager


class Size(Struct, frozen=True):
    """What a store holds. `bytes` are those of bodies; `disk` is what all of it takes there.

    `free` are bytes of the disk that the next records take first, where that can be known.
    """

    executions: int
    unfinished: int
    records: int
    bytes: int
    blobs: int
    blob_bytes: int
    snapshots: int
    snapshot_bytes: int
    disk: int
    free: int


class Past(Struct, frozen=True):
    """An execution that has ended. `first` is the body of its first record, `size` the bytes of all.

    `place` puts those that were created in one microsecond in order.
    """

    id: ExecutionId
    created: int
    ended: int
    place: int
    size: int
    first: bytes | None


class Orphans(Struct, frozen=True):
    """Rows that belong to nothing: of records, snapshots and letters without an execution.

    `blobs` are referred to by nobody, `missing` are referred to and not there.
    """

    records: int = 0
    snapshots: int = 0
    letters: int = 0
    blobs: int = 0
    missing: int = 0


class Keeping(Protocol):
    """Looking after a store. Raises `errors.StoreError` like a journal."""

    async def size(self) -> Size:
        """How much there is. Looks at every record once, and holds up nobody meanwhile."""
        ...

    async def past(self, behind: Past | None, before: int, limit: int) -> list[Past]:
        """Executions that have ended, in the order they were created, before a moment and behind another one."""
        ...

    async def beginnings(self) -> dict[ExecutionId, bytes]:
        """The body of the first record of each execution that has not finished."""
        ...

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Held by whoever takes away as much as is too much; another one, here or elsewhere, waits for it."""
        ...

    async def remove(self, executions: Sequence[ExecutionId]) -> int:
        """Take away those of them that have ended; how many. From then on they do not exist.

        Their ids may be used again. What belongs to them goes with `sweep`.
        """
        ...

    async def sweep(self, limit: int) -> bool:
        """Free up to `limit` rows of what was taken away, in one small transaction; False when none are left."""
        ...

    async def orphans(self) -> Orphans:
        """What belongs to nothing."""
        ...

    async def blobs(self, behind: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Digest and body of blobs, in the order of digests."""
        ...
