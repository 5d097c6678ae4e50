"""The group committer: one thread that writes all that waits in one transaction with one sync.

While it commits, the next batch gathers; nothing waits for a timer. A write that fails,
fails alone. Must never know: what the writes mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import apsw
from msgspec import Struct

from stratarouter_runtime.errors import StoreFull, StoreUnavailable, StrataError
from stratarouter_runtime.storage.sqlite.faults import translated
from stratarouter_runtime.storage.sqlite.transaction import Transaction
from stratarouter_runtime.storage.statistics import Commits
from stratarouter_runtime.storage.waiting import Room, own

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stratarouter_runtime.storage.sqlite.writes import Write

T = TypeVar("T")

BATCH: Final = 1_000
"""Rows of one commit, as far as whole writes allow."""

BYTES: Final = 8 * 1024 * 1024
"""Likewise: for what is large, nobody else waits longer than for this."""

LOG_PAGES: Final = 4_000
"""Length of the write-ahead log, in pages, above which the writer moves it into the file."""

OWN_FAULTS: Final = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError)
"""SQLite's errors that are about one row; all others concern the whole batch."""


class _Request(Struct):
    """A write, what it weighs, and who waits for it."""

    write: Write[Any]
    rows: int
    bytes: int
    future: asyncio.Future[Any]


class Writer:
    """Owns the writing connection. Used from one event loop at a time."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self._transaction = Transaction(connection)
        self._path = path
        self._log_pages = 0
        self._checkpoint_at = LOG_PAGES
        self._room = Room()
        self._gathering: list[_Request] = []
        self._queue: SimpleQueue[list[_Request] | None] = SimpleQueue()
        self._closed = False
        self.commits = Commits()
        connection.set_wal_hook(self._committed)
        self._thread = Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def submit(self, write: Write[T], rows: int = 1, size: int = 0) -> T:
        """Have a write committed; returns when it is synced. Cancelled, it may still come true.

        `size` is in bytes, where there may be many.
        Raises what the write raises, or a `StoreError`.
        """
        await self._room.enter()
        if self._closed:
            self._room.leave()
            raise StoreUnavailable("the store is closed", hint="open it again")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._gathering.append(_Request(write, max(rows, 1), size, future))
        if len(self._gathering) == 1:
            # Behind all that is ready now: what one commit has woken shares the next one.
            loop.call_soon(self._hand_over)
        return await future

    @property
    def waiting(self) -> int:
        """Writes that have queued and are not decided."""
        return self._room.taken

    async def close(self) -> None:
        """Commit what waits, then end. Again does nothing."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        if self._gathering:
            self._queue.put(self._gathering)
            self._gathering = []

    # In the thread.

    def _run(self) -> None:
        backlog: deque[_Request] = deque()
        while self._gather(backlog):
            batch = _take(backlog)
            outcomes = self._write(batch)
            # A loop that has ended has nobody left to wake.
            with suppress(RuntimeError):
                batch[0].future.get_loop().call_soon_threadsafe(self._room.settle, batch, outcomes)
            if self._log_pages > self._checkpoint_at:
                self._checkpoint()
        with suppress(apsw.Error):
            self._connection.close(True)

    def _gather(self, backlog: deque[_Request]) -> bool:
        """Take over all that waits, blocking only when there is nothing to do; False at the end."""
        with suppress(Empty):
            while True:
                handed = self._queue.get(block=not backlog)
                if handed is None:
                    # Nothing is handed over behind the end, so finish the backlog and find it again.
                    self._queue.put(None)
                    return bool(backlog)
                backlog.extend(handed)
        return True

    def _write(self, batch: Sequence[_Request], *, again: bool = True) -> list[Any]:
        """Commit a batch, or fail it; where one write is to blame, each is tried alone."""
        try:
            return self._commit(batch)
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever a write does
            # Translated first: rolling back would change what the system said last.
            fault = self._fault(error)
            with suppress(apsw.Error):
                self._transaction.roll_back()
            if again and isinstance(fault, StoreFull):
                # The log's own pages are room too, once they have been moved into the file.
                self._checkpoint()
                return self._write(batch, again=False)
            if len(batch) == 1 or _concerns_all(error):
                self.commits.failures += 1
                return [own(fault) for _ in batch]
        return [outcome for request in batch for outcome in self._write([request])]

    def _commit(self, batch: Sequence[_Request]) -> list[Any]:
        began = perf_counter()
        self._transaction.begin()
        outcomes = [self._stage(request) for request in batch]
        self._transaction.commit()
        self.commits.count(len(batch), perf_counter() - began, self._transaction.sync_seconds)
        return outcomes

    def _stage(self, request: _Request) -> Any:
        """What the write gives, or the error with which it refuses."""
        try:
            return request.write(self._transaction)
        except StrataError as error:
            return error

    def _fault(self, error: Exception) -> Exception:
        if isinstance(error, apsw.Error):
            return translated(error, self._path, self._connection.system_errno)
        return error

    def _committed(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Move the log into the file, as far as readers let it.

        A failure is not lost: the next commit meets its cause. What could not be moved is tried
        again when the log has grown once more, not at every commit; but where there was no room,
        at the first commit that finds some, before the log takes it all.
        """
        try:
            pages, moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            full = isinstance(self._fault(error), StoreFull)
            self._checkpoint_at = 0 if full else self._log_pages + LOG_PAGES
        else:
            self._checkpoint_at = LOG_PAGES if pages == moved else pages + LOG_PAGES


def _take(backlog: deque[_Request]) -> list[_Request]:
    """The next batch: at least one write, about `BATCH` rows or `BYTES`, all waited for on one loop."""
    batch = [backlog.popleft()]
    rows, size, loop = batch[0].rows, batch[0].bytes, batch[0].future.get_loop()
    while backlog:
        rows, size = rows + backlog[0].rows, size + backlog[0].bytes
        if rows > BATCH or size > BYTES or backlog[0].future.get_loop() is not loop:
            break
        batch.append(backlog.popleft())
    return batch


def _concerns_all(error: Exception) -> bool:
    return isinstance(error, apsw.Error) and not isinstance(error, OWN_FAULTS)
