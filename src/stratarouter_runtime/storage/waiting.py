"""Those who wait for a commit: room for so many, and how each is told what came of his write.

Must never know: what is written, or how.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from stratarouter_runtime.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

E = TypeVar("E", bound=Exception)

QUEUE: Final = 4_096
"""Writes that may wait; further callers wait their turn before they queue."""


class Waiter(Protocol):
    """A write that has queued."""

    @property
    def future(self) -> asyncio.Future[Any]:
        """Who waits for it."""
        ...


class Room:
    """Belongs to one event loop at a time."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(QUEUE)
        self.taken = 0
        """Writes that have queued and are not decided."""

    async def enter(self) -> None:
        """Returns once there is room for one more."""
        await self._free.acquire()
        self.taken += 1

    def leave(self) -> None:
        """Make room for somebody else."""
        self.taken -= 1
        self._free.release()

    def settle(self, batch: Sequence[Waiter], outcomes: Sequence[Any]) -> None:
        """Wake everyone whose write is decided: with its value, or with the error that stands for it."""
        for waiter, outcome in zip(batch, outcomes, strict=True):
            self.leave()
            if waiter.future.done():
                continue
            if isinstance(outcome, Exception):
                waiter.future.set_exception(outcome)
            else:
                waiter.future.set_result(outcome)


def own(fault: E) -> E:
    """An error for one waiter alone, since a raised one gathers tracebacks."""
    if isinstance(fault, StoreError):
        return type(fault)(fault.message, hint=fault.hint)
    return fault
