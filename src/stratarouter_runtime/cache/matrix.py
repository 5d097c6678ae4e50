"""Vectors of kept questions in one contiguous matrix, and the nearest to another.

Exact search: a group holds at most some ten thousand. Must never know: what the vectors are of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

_FIRST: Final = 2
"""Rows of a new matrix: most groups have few, and there may be many groups."""


class Matrix:
    """Rows that are added, replaced and dropped; each is the vectors of one question, side by side.

    The halves of rows lie apart: the first halves are all that most questions look at, in one piece.
    """

    def __init__(self) -> None:
        self._first = self._second = np.zeros((0, 0), dtype=np.float32)
        self._rest = np.zeros(0, dtype=np.float32)
        self._parts = 1
        self._used = 0

    @property
    def size(self) -> int:
        """The bytes it takes."""
        return self._first.nbytes + self._second.nbytes + self._rest.nbytes

    def put(self, place: int, vectors: bytes, parts: int) -> None:
        """Make row `place` these vectors, `parts` of equal length."""
        row = np.frombuffer(vectors, dtype="<f4")
        half = len(row) // 2
        if not self._used:
            self._first = np.zeros((_FIRST, half), dtype=np.float32)
            self._second = np.zeros((_FIRST, len(row) - half), dtype=np.float32)
            self._rest = np.zeros(_FIRST, dtype=np.float32)
            self._parts = parts
        if place >= len(self._rest):
            more = max(place + 1, 2 * len(self._rest))
            self._first, self._second = _longer(self._first, more), _longer(self._second, more)
            self._rest = _longer(self._rest, more)
        self._first[place], self._second[place] = row[:half], row[half:]
        self._rest[place] = np.linalg.norm(row[half:])
        self._used = max(self._used, place + 1)

    def drop(self, place: int) -> None:
        """Make row `place` near to nothing."""
        if place < len(self._rest):
            self._first[place] = self._second[place] = self._rest[place] = 0.0

    def nearest(self, vectors: bytes, least: float, most: int) -> list[tuple[int, float]]:
        """The rows of which every part has at least this cosine, nearest first, with their least cosine.

        Cosines are rounded to 1e-6, and ties go to the lower row: the same everywhere.
        """
        query = np.frombuffer(vectors, dtype="<f4")
        if not self._used or len(query) != self._first.shape[1] + self._second.shape[1]:
            return []
        near, means = self._near(query, (least - 1e-6) * self._parts)
        if len(near) > 4 * most:
            near = near[np.argpartition(-means, 4 * most)[: 4 * most]]
        found = [(int(place), self._least(int(place), query)) for place in near]
        kept = [(place, cosine) for place, cosine in found if cosine >= least]
        return sorted(kept, key=lambda each: (-each[1], each[0]))[:most]

    def _near(
        self, query: npt.NDArray[np.float32], least: float
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        """The rows whose product with the query is at least this, and these products.

        The second half of a row is looked at only where the first leaves room for it (by Cauchy and
        Schwarz). Not by `@`: its threads wait for each other, ten times as long where cores are busy.
        """
        half = self._first.shape[1]
        first = np.vecdot(self._first[: self._used], query[:half])
        room = self._rest[: self._used] * np.linalg.norm(query[half:])
        open_ = np.flatnonzero(first + room >= least - 1e-5)
        products = first[open_] + np.vecdot(self._second[open_], query[half:])
        near = products >= least
        return open_[near], products[near]

    def _least(self, place: int, query: npt.NDArray[np.float32]) -> float:
        row = np.concatenate([self._first[place], self._second[place]])
        products = (row * query).reshape(self._parts, -1).sum(axis=1)
        return round(float(products.min()), 6)


def _longer(rows: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
    """The same rows, and empty ones behind them."""
    more = np.zeros((length, *rows.shape[1:]), dtype=np.float32)
    more[: len(rows)] = rows
    return more


def cosines(words: Sequence[str], vectors: Sequence[bytes]) -> dict[tuple[str, str], float]:
    """The cosine of every two of these words, by their vectors."""
    if not words:
        return {}
    rows = np.stack([np.frombuffer(vector, dtype="<f4") for vector in vectors])
    table = rows @ rows.T
    return {
        (one, other): round(float(table[i, j]), 6)
        for i, one in enumerate(words)
        for j, other in enumerate(words)
    }
