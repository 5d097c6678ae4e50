"""Queues with so much room, one a workflow: each works off what waits in it, so many at a time, in order.

Must never know: what the work is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from msgspec import Struct

Job: TypeAlias = Callable[[], Awaitable[None]]
"""Raises nothing but `CancelledError`."""

WAITING: Final = 10_000
PARALLEL: Final = 16


class QueueStats(Struct, frozen=True):
    """Jobs of all queues: those that wait, and who works them off."""

    waiting: int
    working: int


class Queues:
    """Queues by name, made when first needed and dropped when empty."""

    def __init__(self, *, waiting: int = WAITING, parallel: int = PARALLEL) -> None:
        """There is room for `waiting` jobs in a queue, beside `parallel` at work."""
        self._waiting = waiting
        self._parallel = parallel
        self._queues: dict[str, deque[Job]] = {}
        self._workers: dict[str, set[asyncio.Task[None]]] = {}

    def room(self, name: str) -> int:
        """How many more jobs should be taken."""
        return max(0, self._waiting - len(self._queues.get(name, ())))

    def stats(self) -> QueueStats:
        """How full they are."""
        return QueueStats(sum(map(len, self._queues.values())), sum(map(len, self._workers.values())))

    def put(self, name: str, job: Job) -> None:
        """Have a job done behind those that wait, also where there is no `room`: it may have been promised."""
        self._queues.setdefault(name, deque()).append(job)
        workers = self._workers.setdefault(name, set())
        if len(workers) < self._parallel:
            worker = asyncio.get_running_loop().create_task(self._work(name), name="batch")
            workers.add(worker)

    async def close(self) -> None:
        """Stop: jobs under way are interrupted, those that wait are given up."""
        self._queues.clear()
        workers = [worker for each in self._workers.values() for worker in each]
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, name: str) -> None:
        try:
            while queue := self._queues.get(name):
                await queue.popleft()()
        finally:
            workers = self._workers[name]
            workers -= {asyncio.current_task()}
            if not workers:
                self._workers.pop(name, None)
                if not self._queues.get(name):
                    self._queues.pop(name, None)
