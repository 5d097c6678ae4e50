"""What every store holds to, whatever it is made of; pure.

Must never know: where anything is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from stratarouter_runtime.errors import Conflict, LimitExceeded, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.state.events import Record

DRIVEN: Final = frozenset({"queued", "running", "waiting"})
"""Statuses of what some process should be driving."""

UNFINISHED: Final = frozenset({"queued", "running", "waiting", "paused"})
"""Statuses that recovery drives on."""

MAX_BODY: Final = 16 * 1024 * 1024
"""Bytes of the largest record a store takes."""


def check_records(execution: ExecutionId, records: Sequence[Record], expected: int) -> None:
    """Refuse records that are not numbered from `expected` on without gaps.

    Raises `Conflict` naming the first wrong number.
    """
    for number, record in enumerate(records, expected):
        if record.seq != number:
            raise Conflict(
                f"execution {execution} has {expected} records: the next is {number}, not {record.seq}",
                hint="somebody else drives this execution; read its journal again before going on",
            )


def check_size(execution: ExecutionId, record: Record) -> None:
    """Refuse a record above `MAX_BODY` bytes with `LimitExceeded`."""
    if len(record.body) > MAX_BODY:
        raise LimitExceeded(
            f"record {record.seq} of execution {execution} has {len(record.body)} bytes, "
            f"above the limit of {MAX_BODY}",
            hint="let the agent return less, or a file instead of its content",
        )


def unknown(execution: ExecutionId) -> NotFound:
    """The error for an execution that was never created."""
    return NotFound(f"no execution {execution} in this store")


def restated(current: Execution, records: Sequence[Record], status: Execution | None = None) -> Execution:
    """The listed row after an append.

    `status` gives what may change: plan, status, output, failure, usage and `updated`. The number
    of records is counted, and `updated` goes forward only, at least to the last record's time.
    """
    told = current if status is None else status
    last = records[-1].at if records else 0
    return replace(
        current,
        plan=told.plan,
        status=told.status,
        updated=max(current.updated, told.updated, last),
        records=current.records + len(records),
        output=told.output,
        failure=told.failure,
        usage=told.usage,
    )
