"""What is done when an execution has ended and its whole journal is needed: read behind the loop's back.

One thing at a time, in the order of the ends, and so many waiting at most: observing may fall
behind, and then loses something, but never holds an execution up. Must never know: what is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from stratarouter_runtime.observability.telemetry import Ended

WAITING: Final = 1_000
"""Ends that wait; what comes on top is dropped."""

Work: TypeAlias = "Callable[[Ended], Awaitable[str]]"
"""Says in a word what became of it."""

_LOG: Final = logging.getLogger(__name__)


class Endings:
    """A queue of ends and the task that works it off. Belongs to one event loop."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._queue: asyncio.Queue[Ended] = asyncio.Queue(WAITING)
        self._task: asyncio.Task[None] | None = None
        self.outcomes: Counter[str] = Counter()

    def hear(self, ended: Ended) -> None:
        """Put an end into the queue, or drop it where that is full."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            self._queue.put_nowait(ended)
        except asyncio.QueueFull:
            self.outcomes["dropped"] += 1

    async def close(self) -> None:
        """Work off what waits, then end."""
        if self._task is not None:
            await self._queue.join()
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            ended = await self._queue.get()
            try:
                self.outcomes[await self._work(ended)] += 1
            except Exception:  # noqa: BLE001 - observing cannot fail a run, nor end the observing
                self.outcomes["failed"] += 1
                _LOG.exception("the end of execution %s was not told", ended.execution.id)
            finally:
                self._queue.task_done()
