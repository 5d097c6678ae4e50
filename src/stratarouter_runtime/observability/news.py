"""What happens to executions at all, for those who watch many: a bounded memory of the newest changes.

Readers go through the memory at their own pace; one that falls behind by more than it holds is
told so, and nothing is kept for anybody in particular. Must never know: who reads, or any output.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.ids import ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import Execution, Observer, Status
from stratarouter_runtime.state.events import Answered, CancelRequested, Record

_FROM_OUTSIDE: Final = frozenset({Answered, CancelRequested})

KEPT: Final = 4_096
"""Changes that are remembered."""


class Change(Struct, frozen=True):
    """An execution has begun, stands still, was moved on or has ended: its status then.

    `number` counts the changes of this process from 1.
    """

    number: int
    execution: ExecutionId
    flow: FlowId
    tenant: Tenant
    status: Status
    at: int


class News(Observer):
    """Remembers how executions changed. Belongs to one event loop."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque(maxlen=KEPT)
        self._last = 0
        self._came: asyncio.Future[None] | None = None

    @property
    def last(self) -> int:
        """The number of the newest change; 0 before the first."""
        return self._last

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        if not _is_news(execution, records, events):
            return
        self._last += 1
        self._changes.append(
            Change(
                self._last,
                execution.id,
                execution.flow,
                execution.tenant,
                execution.status,
                records[-1].at if records else execution.updated,
            )
        )
        if self._came is not None and not self._came.done():
            self._came.set_result(None)
        self._came = None

    async def read(self, tenant: Tenant, after: int, patience: float) -> AsyncIterator[Change | int | None]:
        """The changes of a tenant numbered above `after`, as they come.

        An int is how many changes of anybody were missed, because they are remembered no more; None
        comes whenever there is nothing new for `patience` seconds.
        """
        while True:
            if after >= self._last:
                if not await self._more(patience):
                    yield None
                continue
            oldest = self._changes[0].number
            if after + 1 < oldest:
                yield oldest - after - 1
                after = oldest - 1
            change = self._changes[after + 1 - oldest]
            after = change.number
            if change.tenant == tenant:
                yield change

    async def _more(self, patience: float) -> bool:
        if self._came is None:
            self._came = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._came), patience)
            return True
        return False


def _is_news(execution: Execution, records: Sequence[Record], events: Sequence[object]) -> bool:
    """Whether it has begun, stands still, was resumed, has ended, or was moved on from outside."""
    if not records or records[0].seq == 0 or execution.status != "running":
        return True
    return not _FROM_OUTSIDE.isdisjoint(map(type, events))
