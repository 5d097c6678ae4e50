"""How long to wait before something is tried again.

Must never know: what is tried.
"""

from __future__ import annotations

import asyncio

FIRST: float = 0.05
LONGEST: float = 1.0
"""Seconds between two tries; they double from the first to the longest."""


class Pauses:
    """The pauses of one who tries until a moment of the loop's clock, or for ever."""

    def __init__(self, until: float = float("inf")) -> None:
        self._until = until
        self._next = FIRST

    async def over(self) -> bool:
        """Wait for the next try; False at once where that would be too late."""
        pause, self._next = self._next, min(2 * self._next, LONGEST)
        if asyncio.get_running_loop().time() + pause > self._until:
            return False
        await asyncio.sleep(pause)
        return True
