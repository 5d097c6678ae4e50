"""A scorer that is opened when something is scored, or its identity is asked for.

Must never know: which scorer it opens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from typing_extensions import override

from stratarouter_runtime.ports import Scorer


@runtime_checkable
class Closing(Protocol):
    """A scorer that holds something which must be let go."""

    def close(self) -> None:
        """Let go."""
        ...


class LazyScorer(Scorer):
    """Opens its scorer once; what opening raises is raised by the first to need it, and each after."""

    def __init__(self, opening: Callable[[], Scorer]) -> None:
        self._opening = opening
        self._scorer: Scorer | None = None

    @property
    @override
    def identity(self) -> str:
        return self._opened().identity

    @override
    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        return await self._opened().score(query, texts)

    def close(self) -> None:
        """Let go of the scorer, where one was opened."""
        if isinstance(self._scorer, Closing):
            self._scorer.close()

    def _opened(self) -> Scorer:
        if self._scorer is None:
            self._scorer = self._opening()
        return self._scorer
