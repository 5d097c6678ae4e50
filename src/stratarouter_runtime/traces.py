"""Where an execution stands in a distributed trace: ids of spans, and W3C's `traceparent`.

The ids of our own spans follow from what they stand for, so that a trace told twice, or by
another process after a crash, is the same trace. Must never know: who collects traces.
"""

from __future__ import annotations

import re
from typing import Final

from blake3 import blake3
from msgspec import Struct

from stratarouter_runtime.ids import Digest, ExecutionId

_HEADER: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
"""https://www.w3.org/TR/trace-context/: a later version may add fields at the end."""


class Trace(Struct, frozen=True):
    """One place in a trace: 32 hex digits, 16 hex digits, and whether the trace is being recorded."""

    id: str
    span: str
    sampled: bool

    def header(self) -> str:
        """As a `traceparent` header says it."""
        return f"00-{self.id}-{self.span}-{'01' if self.sampled else '00'}"


NOWHERE: Final = Trace("", "", sampled=False)
"""No place in any trace."""


def parse(header: str) -> Trace | None:
    """The place that a `traceparent` names; None where it is none."""
    found = _HEADER.fullmatch(header)
    return None if found is None else Trace(found[1], found[2], bool(int(found[3], 16) & 1))


def own_trace(execution: ExecutionId) -> str:
    """The trace id of an execution that nobody else's trace called for."""
    return _hex(f"{execution}\0trace", 16)


def root_span(execution: ExecutionId) -> str:
    """The id of the span that is the whole execution."""
    return _hex(execution, 8)


def call_span(execution: ExecutionId, step: Digest, attempt: int) -> str:
    """The id of the span that is one attempt of a step (its key) of an execution."""
    return _hex(f"{execution}\0{step}\0{attempt}", 8)


def _hex(name: str, size: int) -> str:
    return blake3(name.encode()).hexdigest(size)
