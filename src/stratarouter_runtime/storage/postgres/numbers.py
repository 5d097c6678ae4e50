"""Numbers that no other process gives out: short names of executions, and names of commits.

Taken from the database a block at a time. Must never know: what is numbered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BLOCK: Final = 1_000
"""By how much the sequence `strata.numbers` grows."""

HALF: Final = 0x7FFF_FFFF
"""Masks the part of a number that names a commit in its records, or a lane among those at work."""


class Numbers:
    """Numbers in growing order within one process, in the order in which they were asked for."""

    def __init__(self, block: Callable[[], Awaitable[int]]) -> None:
        self._block = block
        self._next = 0
        self._end = 0
        self._refill = asyncio.Lock()

    async def take(self) -> int:
        """The next number. Raises what asking for a block raises."""
        if self._next == self._end or self._refill.locked():
            async with self._refill:
                if self._next == self._end:
                    self._next = await self._block()
                    self._end = self._next + BLOCK
                return self._step()
        return self._step()

    def _step(self) -> int:
        self._next += 1
        return self._next - 1
