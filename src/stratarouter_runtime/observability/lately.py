"""What takes some work to know, known for a second: made when somebody asks, once for all who do.

Must never know: what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

GOOD_FOR: Final = 1.0
"""Seconds."""


class Lately(Generic[T]):
    """Belongs to one event loop."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._made: tuple[float, T] | None = None
        self._making: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The value, at most `GOOD_FOR` old. Raises what making it raises, which is not remembered.

        One who gives up does not stop what others wait for.
        """
        if self._made is not None and asyncio.get_running_loop().time() - self._made[0] < GOOD_FOR:
            return self._made[1]
        if self._making is None:
            self._making = asyncio.create_task(self._anew())
        return await asyncio.shield(self._making)

    def forget(self) -> None:
        """Make it anew for whoever asks next."""
        self._made = None

    async def _anew(self) -> T:
        try:
            value = await self._make()
        finally:
            self._making = None
        self._made = asyncio.get_running_loop().time(), value
        return value
