"""A scorer and an embedder that are opened when something needs them, or asks for their identity.

Must never know: which they open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from typing_extensions import override

from stratarouter_runtime.ports import Embedder, Scorer


@runtime_checkable
class Closing(Protocol):
    """Something that holds what must be let go."""

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

    def _opened(self) -> Scorer:
        if self._scorer is None:
            self._scorer = self._opening()
        return self._scorer


class LazyEmbedder(Embedder):
    """Opens its embedder once; what opening raises is raised by the first to need it, and each after."""

    def __init__(self, opening: Callable[[], Embedder]) -> None:
        self._opening = opening
        self._embedder: Embedder | None = None

    @property
    @override
    def identity(self) -> str:
        return self._opened().identity

    @override
    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        return await self._opened().embed(texts)

    def close(self) -> None:
        """Let go of the embedder, where one was opened."""
        if isinstance(self._embedder, Closing):
            self._embedder.close()

    def _opened(self) -> Embedder:
        if self._embedder is None:
            self._embedder = self._opening()
        return self._embedder
