"""Snapshots that get lost, come late, or come back damaged: none of it may be noticed.

Must never know: what is in a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random  # noqa: TID251 - seeded by the caller: the same draws every time
from typing import Any, Final

from typing_extensions import override

from stratarouter_runtime.errors import StoreUnavailable
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import Snapshots

MISHAPS: Final = 0.3
"""The share of snapshots that something happens to."""


class FaultySnapshots(Snapshots):
    """Around those of another store. `finish` runs a coroutine of these to its end."""

    def __init__(self, kept: Snapshots, chance: Random, finish: Callable[..., Any]) -> None:
        self._kept = kept
        self._draw = chance.random
        self._finish = finish

    @override
    async def save(self, execution: ExecutionId, seq: int, body: bytes) -> None:
        drawn = self._draw()
        if drawn < MISHAPS / 3:
            raise StoreUnavailable("the store cannot be reached")
        if drawn < MISHAPS:
            self._finish(self._kept.save(execution, seq, self._damaged(body)))
        else:
            self._finish(self._kept.save(execution, seq, body))

    @override
    async def load(self, execution: ExecutionId) -> bytes | None:
        body: bytes | None = self._finish(self._kept.load(execution))
        return None if self._draw() < MISHAPS / 3 else body

    @override
    async def drop(self, execution: ExecutionId) -> None:
        if self._draw() > MISHAPS:
            self._finish(self._kept.drop(execution))

    def _damaged(self, body: bytes) -> bytes:
        """A byte is another, or the end is missing."""
        at = int(self._draw() * len(body))
        return body[:at] + (b"" if self._draw() < 0.3 else bytes([body[at] ^ 1]) + body[at + 1 :])
