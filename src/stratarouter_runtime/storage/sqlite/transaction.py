"""What goes into one commit: rows staged by several writes, inserted together.

Must never know: threads, futures, or when it is committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stratarouter_runtime.errors import LeaseLost
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.storage.sqlite.sql import repeated, statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.storage.blobs import Parted

Told: TypeAlias = "tuple[str, int, str | None, str | None, str | None, str]"
"""Status, when, output, failure, usage and plan of an execution that is listed anew."""

CHUNKS: Final = (128, 16, 1)
"""Rows that one statement writes. Each step of a statement lets go of the interpreter and takes it again,
for which a busy loop lets wait."""

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
        self._connection = connection
        self._heads: dict[ExecutionId, Head] = {}
        self._place: int | None = None
        self._records: list[Any] = []
        self._told: dict[int, Told] = {}
        self.sync_seconds = 0.0
        """How long the last commit took to become durable."""
        self._lease: int | None = None

    @property
    def connection(self) -> apsw.Connection:
        """For writes of other kinds, which see every execution as it was told so far."""
        self._restate()
        return self._connection

    def check(self, lease: Lease) -> None:
        """Raise `LeaseLost` for any lease but the one that holds."""
        if lease == NOBODY:
            return
        if self._lease is None:
            self._lease = self._connection.execute(statement("lease")).get
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
        row = self._connection.execute(statement("head"), {"id": execution}).fetchone()
        return None if row is None else self.remember(execution, Head(*row))

    def remember(self, execution: ExecutionId, head: Head) -> Head:
        """Keep a head at hand."""
        self._heads[execution] = head
        return head

    def forget(self, executions: Iterable[ExecutionId]) -> None:
        """Look again for these: they were taken away."""
        for execution in executions:
            self._heads.pop(execution, None)

    def begin_journal(self, execution: ExecutionId, row: tuple[Any, ...]) -> Head | None:
        """List an execution that begins; None where the id is taken."""
        if self._place is None:
            self._place = int(self._connection.execute(statement("next_place")).get)
        self._connection.execute(statement("create"), (*row, self._place))
        if not self._connection.changes():
            return None
        self._place += 1
        return self.remember(execution, Head(self._place - 1, 0))

    def restate(self, head: Head, told: Told) -> None:
        """List an execution anew. Of several in one commit the last counts, but time goes forward only."""
        before = self._told.get(head.execution)
        if before is not None and before[1] > told[1]:
            told = (told[0], before[1], *told[2:])
        self._told[head.execution] = told

    def stage(self, head: Head, facts: Parted) -> None:
        """Add records, already checked against the head, to what will be inserted."""
        place, records = head.execution, self._records
        for seq, at, body, link in facts.rows:
            records += (place, seq, at, body, link)
        for digest, body in facts.blobs.items():
            self._connection.execute(statement("blob_keep"), {"digest": digest, "body": body})
            self._connection.execute(statement("blob_use"), {"execution": place, "digest": digest})
        head.next += len(facts.rows)

    def begin(self) -> None:
        """Start; heads are forgotten here when too many, so that none gets lost half way."""
        if len(self._heads) > REMEMBERED:
            self._heads.clear()
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Insert what is staged and make it durable."""
        self._restate()
        if self._records:
            records, self._records = self._records, []
            self._write("append", records, 5)
        began = perf_counter()
        self._connection.execute("COMMIT")
        self.sync_seconds = perf_counter() - began

    def roll_back(self) -> None:
        """Forget everything since `begin`."""
        self._records.clear()
        self._told.clear()
        self._heads.clear()
        self._lease = self._place = None
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _restate(self) -> None:
        if self._told:
            told, self._told = self._told, {}
            self._write("restate", [each for place, row in told.items() for each in (place, *row)], 7)

    def _write(self, name: str, values: list[Any], width: int) -> None:
        """Write rows of so many values each, as many by one statement as there are."""
        start = 0
        for rows in CHUNKS:
            size = rows * width
            while len(values) - start >= size:
                self._connection.execute(repeated(name, rows), values[start : start + size])
                start += size
