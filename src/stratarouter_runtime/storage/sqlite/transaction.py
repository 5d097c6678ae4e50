"""What goes into one commit: rows staged by several writes, inserted together.

Must never know: threads, futures, or when it is committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias

from stratarouter_runtime.errors import LeaseLost
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.storage.blobs import parted
from stratarouter_runtime.storage.sqlite.sql import statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record

Row: TypeAlias = tuple[int, int, int, bytes, bytes]

REMEMBERED: Final = 16_384
"""Executions whose heads are kept at hand between commits."""


@dataclass(slots=True)
class Head:
    """Where a journal goes on: the execution's short name in the file, and its next number."""

    execution: int
    next: int


class Transaction:
    """The writer's view of the database.

    Heads are remembered from commit to commit, which only the one owner of the file may do:
    an append then needs no query before its insert.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self._heads: dict[ExecutionId, Head] = {}
        self._rows: list[Row] = []
        self.sync_seconds = 0.0
        """How long the last commit took to become durable."""
        self._lease: int | None = None

    def check(self, lease: Lease) -> None:
        """Raise `LeaseLost` for any lease but the one that holds."""
        if lease == NOBODY:
            return
        if self._lease is None:
            self._lease = self.connection.execute(statement("lease")).get
        if lease != self._lease:
            raise LeaseLost

    def forget_lease(self) -> None:
        """Look again who holds the lease: it was changed."""
        self._lease = None

    def head(self, execution: ExecutionId) -> Head | None:
        """The head of a journal; None where there is no such execution."""
        known = self._heads.get(execution)
        if known is not None:
            return known
        row = self.connection.execute(statement("head"), {"id": execution}).fetchone()
        return None if row is None else self.remember(execution, Head(*row))

    def remember(self, execution: ExecutionId, head: Head) -> Head:
        """Keep a head at hand."""
        self._heads[execution] = head
        return head

    def forget(self, executions: Iterable[ExecutionId]) -> None:
        """Look again for these: they were taken away."""
        for execution in executions:
            self._heads.pop(execution, None)

    def stage(self, head: Head, records: Sequence[Record]) -> None:
        """Add records, already checked against the head, to what will be inserted."""
        place = head.execution
        bodies, blobs = parted(records)
        self._rows += [
            (place, record.seq, record.at, body, record.link)
            for record, body in zip(records, bodies, strict=True)
        ]
        for digest, body in blobs.items():
            self.connection.execute(statement("blob_keep"), {"digest": digest, "body": body})
            self.connection.execute(statement("blob_use"), {"execution": place, "digest": digest})
        head.next += len(records)

    def begin(self) -> None:
        """Start; heads are forgotten here when too many, so that none gets lost half way."""
        if len(self._heads) > REMEMBERED:
            self._heads.clear()
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Insert what is staged and make it durable."""
        rows, self._rows = self._rows, []
        if rows:
            self.connection.executemany(statement("append"), rows)
        began = perf_counter()
        self.connection.execute("COMMIT")
        self.sync_seconds = perf_counter() - began

    def roll_back(self) -> None:
        """Forget everything since `begin`."""
        self._rows.clear()
        self._heads.clear()
        self._lease = None
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
