"""The writes of a store, each a function of the transaction that it becomes part of.

Each refuses before it changes anything, so that its failure spoils no other write of
the same commit, and may be run again after a rollback. Must never know: when it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from stratarouter_runtime.errors import Conflict
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.storage.blobs import parted
from stratarouter_runtime.storage.rows import columns_of, end_of
from stratarouter_runtime.storage.rules import check_records, unknown
from stratarouter_runtime.storage.sqlite.sql import statement
from stratarouter_runtime.storage.sqlite.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stratarouter_runtime.ids import Digest, ExecutionId
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record

T = TypeVar("T")
Write: TypeAlias = "Callable[[Transaction], T]"
Rows: TypeAlias = list[tuple[Any, ...]]


class Submit(Protocol):
    """Has a write committed by the store's writer."""

    async def __call__(self, write: Write[T], rows: int = 1) -> T:
        """What the write gives. Raises what it raises, or a `StoreError`."""
        ...


def run(name: str, values: Mapping[str, Any]) -> Write[Rows]:
    """A write that is one statement; gives its rows."""

    def write(transaction: Transaction) -> Rows:
        return transaction.connection.execute(statement(name), values).fetchall()

    return write


def create(execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> Write[bool]:
    """Begin an execution, owned by a lease; gives False where the id is taken."""
    row, facts = (*columns_of(execution), lease), parted(execution.id, records)

    def write(transaction: Transaction) -> bool:
        transaction.check(lease)
        try:
            check_records(execution.id, records, 0)
        except Conflict:
            if transaction.head(execution.id) is not None:  # whose id is taken learns that before all else
                return False
            raise
        head = transaction.begin_journal(execution.id, row)
        if head is None:
            return False
        transaction.stage(head, facts)
        return True

    return write


def append(
    execution: ExecutionId, records: Sequence[Record], status: Execution | None, lease: Lease = NOBODY
) -> Write[None]:
    """Add records to a journal, and say anew how the execution is listed."""
    facts = parted(execution, records)
    told = None if status is None else (status.status, status.updated, *end_of(status), status.plan)

    def write(transaction: Transaction) -> None:
        transaction.check(lease)
        head = transaction.head(execution)
        if head is None:
            raise unknown(execution)
        check_records(execution, records, head.next)
        if told is not None:
            transaction.restate(head, told)
        transaction.stage(head, facts)

    return write


def keep_plan(plan: Digest, document: bytes) -> Write[None]:
    """Keep a plan's document, once."""

    def write(transaction: Transaction) -> None:
        transaction.connection.execute(statement("keep_plan"), {"plan": plan, "document": document})

    return write


def probe() -> Write[None]:
    """Write what is there already: a page of the file, and so a commit as any other."""

    def write(transaction: Transaction) -> None:
        version = transaction.connection.pragma("user_version")
        transaction.connection.pragma("user_version", version)

    return write
