"""Reading beside the writer, on connections of its own that cannot write.

Small looks happen at once on the loop, since a thread costs more than they do; what may be
long goes to a thread, over a second connection. Must never know: what is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import apsw

from stratarouter_runtime.errors import StoreUnavailable
from stratarouter_runtime.storage.sqlite.connection import open_reader
from stratarouter_runtime.storage.sqlite.faults import speaking_of

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[tuple[Any, ...]]
Parameters = Mapping[str, Any] | Sequence[Any]


class _Guarded:
    """A connection that one thread at a time may use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._connection: apsw.Connection | None = open_reader(path)

    def rows(self, query: str, parameters: Parameters) -> Rows:
        with self._lock, speaking_of(self._path):
            if self._connection is None:
                raise StoreUnavailable("the store is closed", hint="open it again")
            return self._connection.execute(query, parameters).fetchall()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close(True)
                self._connection = None


class Reader:
    """Sees all that was acknowledged before a query began."""

    def __init__(self, path: Path) -> None:
        self._near = _Guarded(path)
        try:
            self._far = _Guarded(path)
        except BaseException:
            self._near.close()
            raise

    def look(self, query: str, parameters: Parameters = ()) -> Rows:
        """The rows of a query that finds a handful by key."""
        return self._near.rows(query, parameters)

    async def fetch(self, query: str, parameters: Parameters = ()) -> Rows:
        """The rows of a query that may find many."""
        return await asyncio.to_thread(self._far.rows, query, parameters)

    def close(self) -> None:
        """Let go of both connections; again does nothing."""
        self._near.close()
        self._far.close()
