"""When a group of calls that wait for each other is closed: a pure table on the injected clock.

Must never know: what is called, or who waits.
"""

from __future__ import annotations

from msgspec import Struct


class Window(Struct, frozen=True):
    """How many inputs one call takes at most, and how long the first may wait for others (µs)."""

    max: int
    wait: int


def closes(window: Window, waiting: int, oldest: int, now: int) -> int | None:
    """Microseconds until the group is closed: 0 for now, None where nobody waits.

    It closes when it is full, or when its first has waited its time.
    """
    if not waiting:
        return None
    if waiting >= window.max:
        return 0
    return max(0, oldest + window.wait - now)
