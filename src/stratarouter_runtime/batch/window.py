"""When calls that wait for each other are made: pure, on whatever clock is handed in.

Times are in microseconds. Must never know: what is called, or who waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.tcfp.ir import Batch

SHARE: Final = 10
"""Of the time that a call has left it waits for others at most the tenth part."""


def due(batch: Batch, arrived: int, left: int | None) -> int:
    """Until when a call waits for others that has `left` until its deadline."""
    return arrived + (batch.wait if left is None else min(batch.wait, max(0, left) // SHARE))


def closes(batch: Batch, dues: Sequence[int], now: int) -> int | None:
    """How long until the group is closed: 0 for now, None where nobody waits.

    It closes when it is full, or when the first of its calls has waited its time.
    """
    if not dues:
        return None
    return 0 if len(dues) >= batch.max else max(0, min(dues) - now)
