"""Threads for functions that block: bounded in number, and never what keeps a process alive.

The threads of the standard pool are joined when the interpreter ends, so one function that
hangs would hang the exit; these are daemons. Must never know what the functions do.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

from msgspec import Struct

from stratarouter_runtime.errors import StoreError

_MOST_LOST: Final = 256

Outcome: TypeAlias = tuple[Any, BaseException | None]
"""What a function returned, or what it raised. (A future cannot hold every exception.)"""


class Exhausted(Exception):
    """Too many calls whose caller gave up are still running."""


class NotBegun(Exception):
    """The function was not called: `why` says that another process may have called it."""

    def __init__(self, why: StoreError) -> None:
        super().__init__(why.message)
        self.why = why


class _Job(Struct):
    """One call: in whose context, and to which future of which loop the outcome goes."""

    function: Callable[[], Any]
    context: Context
    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[Outcome]


class _Worker:
    """One thread and its queue. Idle workers wait for the next job."""

    def __init__(self, done: Callable[[_Worker, _Job, Outcome], None]) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done = done
        threading.Thread(target=self._serve, name="agent", daemon=True).start()

    def take(self, job: _Job | None) -> None:
        """Do this next; None ends the thread."""
        self._jobs.put(job)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            outcome: Outcome
            try:
                outcome = (job.context.run(job.function), None)
            except BaseException as error:  # noqa: BLE001 - carried over to the caller
                outcome = (None, error)
            # A loop that has closed in the meantime has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                job.loop.call_soon_threadsafe(self._done, self, job, outcome)
            del job, outcome


class Threads:
    """Belongs to one event loop. At most `most` calls are waited for at a time.

    A caller that gives up makes room for the next one at once, although its function runs on:
    no thread can be stopped from outside. Beyond a number of such calls `run` raises `Exhausted`.
    """

    def __init__(self, most: int = 32) -> None:
        self._room = asyncio.Semaphore(most)
        self._idle: list[_Worker] = []
        self._lost = 0

    async def run(
        self, function: Callable[[], Any], confirm: Callable[[], Awaitable[None]] | None = None
    ) -> Any:
        """What the function returns; raises what it raises. The caller's context is its context.

        Where it had to wait for room, `confirm` is asked whether it may still begin: `NotBegun` where not.
        """
        waits = self._room.locked()
        async with self._room:
            if waits and confirm is not None:
                try:
                    await confirm()
                except StoreError as why:
                    raise NotBegun(why) from why
            if self._lost >= _MOST_LOST:
                raise Exhausted(f"{self._lost} earlier calls that were given up still run")
            loop = asyncio.get_running_loop()
            job = _Job(function, copy_context(), loop, loop.create_future())
            worker = self._idle.pop() if self._idle else _Worker(self._done)
            worker.take(job)
            try:
                result, error = await job.outcome
            except asyncio.CancelledError:
                self._lost += job.outcome.cancelled()
                raise
        if error is not None:
            raise error
        return result

    async def close(self) -> None:
        """End the idle threads; those at work end with the process."""
        while self._idle:
            self._idle.pop().take(None)

    def _done(self, worker: _Worker, job: _Job, outcome: Outcome) -> None:
        self._idle.append(worker)
        if job.outcome.cancelled():
            self._lost -= 1
        else:
            job.outcome.set_result(outcome)
