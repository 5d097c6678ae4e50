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
    """Rows that are added, replaced and dropped; each is the vectors of one question, side by side."""

    def __init__(self) -> None:
        self._rows: npt.NDArray[np.float32] | None = None
        self._rest: npt.NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self._parts = 1
        self._used = 0

    @property
    def size(self) -> int:
        """The bytes it takes."""
        return self._rest.nbytes + (0 if self._rows is None else self._rows.nbytes)

    def put(self, place: int, vectors: bytes, parts: int) -> None:
        """Make row `place` these vectors, `parts` of equal length."""
        row = np.frombuffer(vectors, dtype="<f4")
        if self._rows is None:
            self._rows = np.zeros((_FIRST, len(row)), dtype=np.float32)
            self._rest = np.zeros(_FIRST, dtype=np.float32)
            self._parts = parts
        if place >= len(self._rows):
            more = np.zeros((max(place + 1, 2 * len(self._rows)), self._rows.shape[1]), dtype=np.float32)
            more[: len(self._rows)] = self._rows
            self._rows = more
            self._rest = np.concatenate([self._rest, np.zeros(len(more) - len(self._rest), dtype=np.float32)])
        self._rows[place] = row
        self._rest[place] = np.linalg.norm(row[len(row) // 2 :])
        self._used = max(self._used, place + 1)

    def drop(self, place: int) -> None:
        """Make row `place` near to nothing."""
        if self._rows is not None and place < len(self._rows):
            self._rows[place] = 0.0
            self._rest[place] = 0.0

    def nearest(self, vectors: bytes, least: float, most: int) -> list[tuple[int, float]]:
        """The rows of which every part has at least this cosine, nearest first, with their least cosine.

        Cosines are rounded to 1e-6, and ties go to the lower row: the same everywhere.
        """
        if self._rows is None or not self._used:
            return []
        query = np.frombuffer(vectors, dtype="<f4")
        if len(query) != self._rows.shape[1]:
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
        assert self._rows is not None
        rows, half = self._rows[: self._used], len(query) // 2
        first = np.vecdot(rows[:, :half], query[:half])
        room = self._rest[: self._used] * np.linalg.norm(query[half:])
        open_ = np.flatnonzero(first + room >= least - 1e-5)
        products = first[open_] + np.vecdot(rows[open_, half:], query[half:])
        near = products >= least
        return open_[near], products[near]

    def _least(self, place: int, query: npt.NDArray[np.float32]) -> float:
        assert self._rows is not None
        products = (self._rows[place] * query).reshape(self._parts, -1).sum(axis=1)
        return round(float(products.min()), 6)


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
