"""Shadow samples: reused answers worked out anew beside whoever has them already, to know how often they differ.

Must never know: how an answer is made, or found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.state.events import Wished

if TYPE_CHECKING:
    from stratarouter_runtime.cache.recall import Cache, Looked, Question

UNKEPT: Final = Wished(keep=False)
"""What a sample asks for."""

SECONDS: Final = 300.0
"""What a sample may take."""

AT_ONCE: Final = 16
"""Samples under way at most: the turns of others pass."""


class Samples:
    """The samples of this process. `close` it when done."""

    def __init__(self, cache: Cache, *, seconds: float = SECONDS, at_once: int = AT_ONCE) -> None:
        self._cache = cache
        self._seconds = seconds
        self._at_once = at_once
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, looked: Looked, fresh: Callable[[], Awaitable[bytes | None]]) -> None:
        """Compare the answer that was found with what `fresh` gives, if its turn has come.

        One that fails, gives None or takes too long says nothing about the answer.
        """
        found, question = looked.found, looked.asked.question
        if found is None or not self._due(question) or len(self._tasks) >= self._at_once:
            return
        before = found.held.answer.output

        async def compare() -> None:
            try:
                async with asyncio.timeout(self._seconds):
                    output = await fresh()
            except Exception:  # noqa: BLE001 - as above
                return
            if output is not None:
                self._cache.compared(question, equal=output == before)

        task = asyncio.get_running_loop().create_task(compare(), name="shadow")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _due(self, question: Question) -> bool:
        """Evenly, by the policy's share of the hits of its tenant and space."""
        share = min(1.0, max(0.0, question.policy.shadow))
        hits = self._cache.ledger.hits(question.tenant, question.space) if share else 0
        return int((hits - 1) * share) < int(hits * share)

    async def settle(self) -> None:
        """Returns once those that are under way have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Give up those that are under way: nobody waits for them."""
        for task in self._tasks:
            task.cancel()
        await self.settle()
