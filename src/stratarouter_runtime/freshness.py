"""What was read a moment ago: asked for at every request, read from the store twice a second at most.

So whatever any process changes is known to all within a second, and what this one changes at once. Must
never know: what is read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stratarouter_runtime.ports import Clock

T = TypeVar("T")

FRESH: Final = 500_000
"""Microseconds for which what was read is trusted."""

REMEMBERED: Final = 10_000
"""Names that are remembered at once; beyond that all are forgotten."""


class Recent(Generic[T]):
    """Values by name, each with the moment when it was asked for. Belongs to one event loop."""

    def __init__(self, read: Callable[[str], Awaitable[T]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._known: dict[str, tuple[int, T]] = {}
        self._reading: dict[str, asyncio.Task[T]] = {}

    async def get(self, name: str) -> T:
        """The value of this name, as it was at most `FRESH` ago. Raises what reading raises.

        However many ask at once, it is read once.
        """
        known = self._known.get(name)
        if known is not None and 0 <= self._clock.now() - known[0] < FRESH:
            return known[1]
        reading = self._reading.get(name)
        if reading is None:
            reading = self._reading[name] = asyncio.create_task(self._read_anew(name))
            reading.add_done_callback(lambda done: self._end(name, done))
        return await asyncio.shield(reading)

    async def _read_anew(self, name: str) -> T:
        now, own = self._clock.now(), asyncio.current_task()
        value = await self._read(name)
        if self._reading.get(name) is own:  # else it was changed meanwhile
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[name] = now, value
        return value

    def _end(self, name: str, done: asyncio.Task[T]) -> None:
        if self._reading.get(name) is done:
            del self._reading[name]
        if not done.cancelled():
            done.exception()  # whoever asked has been told, or has gone

    def forget(self, name: str) -> None:
        """Read it again when it is next asked for."""
        self._known.pop(name, None)
        self._reading.pop(name, None)
