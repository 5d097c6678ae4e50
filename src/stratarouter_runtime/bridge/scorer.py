"""Compares texts by the vectors of an encoder: the `Scorer` of the runtime.

Must never know: what the scores decide.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from stratarouter_runtime.bridge.batching import BatchedEncoder
from stratarouter_runtime.ports import Scorer
from stratarouter_runtime.routing.choose import PLACES

_TABLES: Final = 256

Matrix = npt.NDArray[np.float64]


class CosineScorer(Scorer):
    """Cosine similarity. The vectors of a list of candidates are kept as one matrix."""

    def __init__(self, encoder: BatchedEncoder) -> None:
        self._encoder = encoder
        self._tables: OrderedDict[tuple[str, ...], Matrix] = OrderedDict()

    @property
    @override
    def identity(self) -> str:
        return self._encoder.encoder.identity

    @override
    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        table = await self._table(tuple(texts))
        asked = (await self._encoder.encode([query])).astype(np.float64)
        # Row by row and in double precision: a matrix product may sum in another order for
        # another number of candidates, and a score must not depend on its neighbours.
        scores = (table * asked).sum(axis=1).round(PLACES) + 0.0
        return tuple(scores.tolist())

    def close(self) -> None:
        """Let go of the encoder's thread."""
        self._encoder.close()

    async def _table(self, texts: tuple[str, ...]) -> Matrix:
        table = self._tables.get(texts)
        if table is None:
            table = (await self._encoder.encode(texts)).astype(np.float64)
            self._tables[texts] = table
            if len(self._tables) > _TABLES:
                self._tables.popitem(last=False)
        return table
