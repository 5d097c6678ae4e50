"""The journal of one run as it grows: numbers, times and the hash chain.

Each link is a hash of the link before it, the time and the body, so that nobody can
change, drop or reorder a record unnoticed. Must never know: where records are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stratarouter_runtime.canonical import GENESIS, link
from stratarouter_runtime.errors import JournalMismatch
from stratarouter_runtime.state.codec import encode
from stratarouter_runtime.state.events import Record

if TYPE_CHECKING:
    from stratarouter_runtime.state.events import Event


@dataclass(slots=True)
class Ledger:
    """Where the journal stands: the number of the next record, the newest time and link."""

    seq: int = 0
    at: int = 0
    link: bytes = GENESIS

    def write(self, event: Event, at: int) -> Record:
        """The next record; its time is `at`, or that of the record before it if that is later."""
        body = encode(event)
        self.at = max(self.at, at)
        self.link = _link(self.link, self.at, body)
        record = Record(self.seq, self.at, body, self.link)
        self.seq += 1
        return record

    def check(self, record: Record) -> None:
        """Go on to a record that was read; raises `JournalMismatch` where it is not the next one."""
        if record.seq != self.seq:
            raise JournalMismatch(
                f"record {self.seq} is missing: the next one is number {record.seq}",
                hint="the journal was damaged; restore the store from a copy",
            )
        expected = _link(self.link, record.at, record.body)
        if record.link != expected or record.at < self.at:
            raise JournalMismatch(
                f"record {record.seq} is not what was written: its hash is {record.link.hex()[:12]}…, "
                f"its content gives {expected.hex()[:12]}…",
                hint="somebody or something changed the journal; restore the store from a copy",
            )
        self.seq, self.at, self.link = record.seq + 1, record.at, record.link


def _link(previous: bytes, at: int, body: bytes) -> bytes:
    return link(previous, at.to_bytes(8, "big"), body)
