"""Bodies that are too large for their row: kept once by their content, with their digest in the row; pure.

A row that begins with the mark holds a reference. No fact begins with it, since facts are JSON;
whatever else does is kept apart too, so that a reference is never mistaken. Must never know:
where rows are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from blake3 import blake3

from stratarouter_runtime.errors import StoreError
from stratarouter_runtime.storage.rules import check_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.state.events import Record

LARGE: Final = 64 * 1024
"""Bytes of the largest body that stands in its row."""

MARK: Final = b"\x00"
"""What a reference begins with; its digest follows."""


class Parted(NamedTuple):
    """Records as their rows hold them, and by their digest the bodies that are kept apart."""

    rows: list[tuple[int, int, bytes, bytes]]
    """Number, time, body or reference, link."""
    blobs: dict[bytes, bytes]


def parted(execution: ExecutionId, records: Sequence[Record]) -> Parted:
    """Made once a write, before it queues. Raises `LimitExceeded` for a record that no store takes."""
    rows: list[tuple[int, int, bytes, bytes]] = []
    blobs: dict[bytes, bytes] = {}
    for record in records:
        body = record.body
        if len(body) > LARGE or body.startswith(MARK):
            check_size(execution, record)
            digest = digest_of(body)
            blobs[digest] = body
            body = MARK + digest
        rows.append((record.seq, record.at, body, record.link))
    return Parted(rows, blobs)


def digest_of(body: bytes) -> bytes:
    """The name of a body."""
    return blake3(body).digest()


def check_whole(execution: ExecutionId, records: Sequence[Record]) -> list[Record]:
    """The records as they were read. Raises `StoreError` where a body that is kept apart is gone."""
    for record in records:
        if record.body is None:
            raise StoreError(
                f"record {record.seq} of execution {execution} refers to a blob that is not there",
                hint="the store was damaged: see strata db verify, and restore it from a copy",
            )
    return list(records)
