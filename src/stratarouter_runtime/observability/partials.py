"""Text that agents say before their calls are answered, for those who watch an execution.

Nothing of it is kept: who listens later hears the rest, and what counts is the answer, in the
journal. Must never know: agents, or what listeners do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import AgentCall

_KEPT: Final = 1_000
"""Pieces that a listener may be behind; then the oldest are lost."""


class Partial(Struct, frozen=True):
    """A piece of text of one attempt of a step."""

    step: str
    attempt: int
    text: str


class Hearing:
    """What one listener has not taken yet."""

    def __init__(self) -> None:
        self._pieces: deque[Partial] = deque(maxlen=_KEPT)
        self._came = asyncio.Event()

    def put(self, piece: Partial) -> None:
        """Add a piece."""
        self._pieces.append(piece)
        self._came.set()

    async def take(self) -> list[Partial]:
        """All that has come, as soon as there is any."""
        await self._came.wait()
        self._came.clear()
        taken = list(self._pieces)
        self._pieces.clear()
        return taken


class PartialTexts:
    """Hands pieces to who listens to their execution. Belongs to one event loop."""

    def __init__(self) -> None:
        self._hearings: dict[ExecutionId, set[Hearing]] = {}

    def heard(self, call: AgentCall, text: str) -> None:
        """An agent said this in the course of a call."""
        for hearing in self._hearings.get(call.execution, ()):
            hearing.put(Partial(call.step, call.attempt, text))

    @contextmanager
    def listening(self, execution: ExecutionId) -> Iterator[Hearing]:
        """What is said in an execution from now on."""
        hearing = Hearing()
        hearings = self._hearings.setdefault(execution, set())
        hearings.add(hearing)
        try:
            yield hearing
        finally:
            hearings.discard(hearing)
            if not hearings:
                self._hearings.pop(execution, None)

    async def close(self) -> None:
        """Nothing is held that has to be let go."""
