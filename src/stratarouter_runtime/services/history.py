"""What became of executions: the listed row, the facts as they come, what they prove.

Reads only. Must never know: HTTP, SQL, any back-end; what is at work now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from stratarouter_runtime.errors import JournalMismatch, NotFound
from stratarouter_runtime.ids import ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import ENDED, Execution, Status
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.difference import Difference, difference
from stratarouter_runtime.state.redaction import Redaction
from stratarouter_runtime.state.replay import replay

if TYPE_CHECKING:
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.observability.feed import Feed
    from stratarouter_runtime.ports import Journal
    from stratarouter_runtime.state.events import Event, Record

GLANCE: Final = 1.0
"""Seconds after which a watcher looks for itself."""


class Journaled(Struct, frozen=True):
    """An execution with all its facts."""

    execution: Execution
    records: tuple[Record, ...]
    events: tuple[Event, ...]


class Proof(Struct, frozen=True):
    """What a replay found: every decision derived again, or the first that was not."""

    execution: ExecutionId
    plan: Digest
    records: int
    link: str
    reproducible: bool
    divergence: str = ""
    hint: str = ""


class History:
    """The executions of a store, for those who look."""

    def __init__(self, journal: Journal, plans: Plans, feed: Feed) -> None:
        self._store = journal
        self._plans = plans
        self._feed = feed

    async def find(self, execution: ExecutionId, tenant: Tenant | None = None) -> Execution:
        """The execution as listed. Raises `NotFound`, also where it is another tenant's."""
        row = await self._store.find(execution)
        if row is None or (tenant is not None and row.tenant != tenant):
            raise NotFound(
                f"no execution {execution}", hint="list them: strata ps, or GET /api/v1/executions"
            )
        return row

    async def search(
        self,
        tenant: Tenant,
        *,
        flow: FlowId | None = None,
        status: Sequence[Status] = (),
        before: ExecutionId | None = None,
        limit: int = 50,
    ) -> list[Execution]:
        """The executions of a tenant, newest first, below `before`. Raises `NotFound` for a foreign `before`."""
        if before is not None:
            await self.find(before, tenant)
        return await self._store.search(tenant=tenant, flow=flow, status=status, before=before, limit=limit)

    async def journal(self, execution: ExecutionId, tenant: Tenant | None = None) -> Journaled:
        """The execution with all its facts. Raises `NotFound`, `JournalMismatch`."""
        row = await self.find(execution, tenant)
        records = tuple(await self._store.read(execution))
        return Journaled(row, records, tuple(decode(record.body) for record in records))

    async def watch(self, execution: ExecutionId, after: int = -1) -> AsyncIterator[Record]:
        """The facts numbered above `after`, as they become durable, until the execution has ended."""
        with self._feed.watching(execution) as changed:
            while True:
                changed.clear()
                row = await self.find(execution)
                for record in await self._store.read(execution, after):
                    after = record.seq
                    yield record
                if row.status in ENDED:
                    return
                # Another process may drive it: then nobody here hears of its facts.
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), GLANCE)

    async def difference(self, left: ExecutionId, right: ExecutionId) -> list[Difference]:
        """The steps that came to something else in one than in the other, without what is labelled."""
        return difference(await self._shown(left), await self._shown(right))

    async def _shown(self, execution: ExecutionId) -> list[Event]:
        journaled = await self.journal(execution)
        redaction = Redaction(await self._plans.get(journaled.execution.plan))
        return [redaction.show(event) for event in journaled.events]

    async def replay(self, execution: ExecutionId, tenant: Tenant | None = None) -> Proof:
        """Derive every decision of an execution again, and compare. Raises `NotFound`."""
        row = await self.find(execution, tenant)
        plan = await self._plans.get(row.plan)
        records = await self._store.read(execution)
        link = records[-1].link.hex() if records else ""
        try:
            replay(plan, records, await self._plans.named(records))
        except JournalMismatch as found:
            return Proof(execution, row.plan, len(records), link, False, found.message, found.hint or "")
        return Proof(execution, row.plan, len(records), link, True)
