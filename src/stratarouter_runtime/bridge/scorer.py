"""Compares texts by their vectors: the `Scorer` of the runtime.

Must never know: what the scores decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from stratarouter_runtime.lru import Lru
from stratarouter_runtime.ports import Embedder, Scorer
from stratarouter_runtime.routing.choose import PLACES

_TABLES: Final = 256

Matrix = npt.NDArray[np.float64]


class CosineScorer(Scorer):
    """Cosine similarity. The vectors of a list of candidates are kept as one matrix."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._tables: Lru[tuple[str, ...], Matrix] = Lru(_TABLES)

    @property
    @override
    def identity(self) -> str:
        return self._embedder.identity

    @override
    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        table = await self._table(tuple(texts))
        asked = await self._vectors([query])
        # Row by row and in double precision: a matrix product may sum in another order for
        # another number of candidates, and a score must not depend on its neighbours.
        scores = (table * asked).sum(axis=1).round(PLACES) + 0.0
        return tuple(scores.tolist())

    async def _table(self, texts: tuple[str, ...]) -> Matrix:
        table = self._tables.get(texts)
        return self._tables.put(texts, await self._vectors(texts)) if table is None else table

    async def _vectors(self, texts: Sequence[str]) -> Matrix:
        vectors = [np.frombuffer(vector, "<f4") for vector in await self._embedder.embed(texts)]
        return np.array(vectors, dtype=np.float64) if vectors else np.zeros((0, 1))
