"""The writes of a store, each a function of the transaction that it becomes part of.

Each refuses before it changes anything, so that its failure spoils no other write of
the same commit, and may be run again after a rollback. Must never know: when it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from stratarouter_runtime.errors import Conflict
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.state.events import VERSION
from stratarouter_runtime.storage.rules import check_records, unknown
from stratarouter_runtime.storage.sqlite.sql import statement
from stratarouter_runtime.storage.sqlite.transaction import Head, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stratarouter_runtime.ids import Digest, ExecutionId
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record

T = TypeVar("T")
Write: TypeAlias = "Callable[[Transaction], T]"


def create(execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> Write[bool]:
    """Begin an execution, owned by a lease; gives False where the id is taken."""
    row = _told(execution) | {
        "id": execution.id,
        "tenant": execution.tenant,
        "flow": execution.flow,
        "created": execution.created,
        "version": VERSION,
        "owner": lease,
    }

    def write(transaction: Transaction) -> bool:
        transaction.check(lease)
        try:
            check_records(execution.id, records, 0)
        except Conflict:
            if transaction.head(execution.id) is not None:  # whose id is taken learns that before all else
                return False
            raise
        place = transaction.connection.execute(statement("create"), row).get
        if place is None:
            return False
        transaction.stage(transaction.remember(execution.id, Head(place, 0)), records)
        return True

    return write


def append(
    execution: ExecutionId, records: Sequence[Record], status: Execution | None, lease: Lease = NOBODY
) -> Write[None]:
    """Add records to a journal, and say anew how the execution is listed."""
    told = None if status is None else _told(status)

    def write(transaction: Transaction) -> None:
        transaction.check(lease)
        head = transaction.head(execution)
        if head is None:
            raise unknown(execution)
        check_records(execution, records, head.next)
        if told is not None:
            transaction.connection.execute(statement("restate"), told | {"execution": head.execution})
        transaction.stage(head, records)

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


def _told(execution: Execution) -> dict[str, Any]:
    """The columns that may change."""
    return {
        "plan": execution.plan,
        "status": execution.status,
        "updated": execution.updated,
        "output": _json(execution.output),
        "failure": _json(execution.failure),
        "usage": _json(execution.usage),
    }


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
