"""What was read a moment ago: asked for at every request, read from the store twice a second at most.

So whatever any process changes is known to all within a second. Must never know: what is read.
"""

from __future__ import annotations

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
    """Values by name, each with the moment when it was asked for."""

    def __init__(self, read: Callable[[str], Awaitable[T]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._known: dict[str, tuple[int, T]] = {}

    async def get(self, name: str) -> T:
        """The value of this name, as it was at most `FRESH` ago. Raises what reading raises."""
        now = self._clock.now()
        known = self._known.get(name)
        if known is not None and 0 <= now - known[0] < FRESH:
            return known[1]
        value = await self._read(name)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[name] = now, value
        return value

    def forget(self, name: str) -> None:
        """Read it again when it is next asked for."""
        self._known.pop(name, None)
