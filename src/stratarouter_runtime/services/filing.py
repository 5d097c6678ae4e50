"""Batches on the shelf: kept version by version, read back, and told by their executions.

Must never know: queues, or how an item is executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

import msgspec

from stratarouter_runtime.errors import NotFound
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.services.items import Batch, Kept, Outcome, State, decode

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Tenant
    from stratarouter_runtime.ports import Clock, Execution, Shelf
    from stratarouter_runtime.ports import Kept as Document

KIND: Final = "batch"

KEPT: Final = 10_000
"""Batches of a tenant at most."""

PAGE: Final = 20
"""Documents of batches read at once: each may be large."""

ROOM: Final = 32
"""Executions of a batch that are looked up at once."""


class Filing:
    """The batches of all tenants. Raises `StoreError`."""

    def __init__(
        self, shelf: Shelf, clock: Clock, find: Callable[[ExecutionId], Awaitable[Execution | None]]
    ) -> None:
        self._shelf = shelf
        self._clock = clock
        self._find = find

    async def put(self, batch: Batch, kept: Kept, by: str = "") -> None:
        """Keep this in place of the version that is known of a batch. Raises `Conflict` where there is another."""
        body, at = msgspec.json.encode(kept), self._clock.now()
        quota = None if batch.version else KEPT
        place = (batch.tenant, KIND, batch.id)
        version = await self._shelf.put(*place, body, at=at, by=by, expected=batch.version, quota=quota)
        batch.kept, batch.version = kept, version

    async def reread(self, batch: Batch) -> None:
        """Take what is kept of a batch as it is now."""
        document = await self.document(batch.tenant, batch.id)
        if document.version != batch.version:
            batch.kept, batch.version = decode(document.body), document.version

    async def document(self, tenant: Tenant, id_: str) -> Document:
        """A batch as it is kept. Raises `NotFound`."""
        document = await self._shelf.get(tenant, KIND, id_)
        if document is None:
            raise NotFound(f"no batch {id_}", hint="batches are known to the tenant that submitted them")
        return document

    async def all(self) -> AsyncIterator[Document]:
        """Every batch that is kept."""
        after = ""
        while page := await self._shelf.all(None, KIND, after, PAGE):
            for document in page:
                yield document
            after = f"{page[-1].tenant}\0{page[-1].name}"

    async def told(self, tenant: Tenant, id_: str) -> Batch:
        """A batch that is not at work here, as its executions tell it. Raises `NotFound`."""
        document = await self.document(tenant, id_)
        batch = Batch(id_, tenant, decode(document.body), document.version)
        batch.begin()
        sources = [_source(batch, index) for index in range(len(batch.outcomes))]
        rows = await self.rows({source for source in sources if source})
        for index, source in enumerate(sources):
            if batch.outcomes[index].state != "refused":
                batch.put(index, _outcome(batch, index, rows.get(ExecutionId(source))))
        return batch

    async def now(self, outcome: Outcome) -> Outcome:
        """An outcome that may have changed since: somebody answered what an execution asked."""
        if outcome.state not in ("waiting", "paused") or outcome.execution is None:
            return outcome
        row = await self._find(outcome.execution)
        return outcome if row is None else Outcome(row.status, row.id, row, shared=outcome.shared)

    async def rows(self, sources: AbstractSet[str]) -> dict[ExecutionId, Execution]:
        """Those of these executions that there are."""
        wanted = [ExecutionId(source) for source in sorted(sources)]
        found: list[Execution | None] = []
        for first in range(0, len(wanted), ROOM):
            found += await asyncio.gather(*map(self._find, wanted[first : first + ROOM]))
        return {row.id: row for row in found if row is not None}


def _source(batch: Batch, index: int) -> str:
    """The execution that tells of an item; empty where none does."""
    ended = batch.kept.ended
    return batch.execution(batch.leader(index)) if ended is None else ended[index]


def _outcome(batch: Batch, index: int, row: Execution | None) -> Outcome:
    shared = batch.leader(index) != index
    if row is not None:
        return Outcome(row.status, row.id, row, shared=shared or row.id != batch.execution(index))
    over: State = "failed" if batch.kept.ended is not None else "queued"
    return Outcome("cancelled" if batch.kept.cancelled else over, shared=shared)
