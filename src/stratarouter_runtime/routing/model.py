"""A table at work: every route weighed against one text and its vector.

Products are taken row by row (`vecdot`): the product of a matrix and a vector is cut up among threads,
which makes it slow where another process holds a core, and its last bits depend on how many there are.
Scores fuse a head trained on vectors with the words routes share. Without a head they are half the
cosine to the centroid, half that to the nearest example, and a quarter of the lexical score. Must
never know: where vectors come from, or what is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from stratarouter_runtime.routing.choose import PLACES
from stratarouter_runtime.routing.head import Head, Labels, Matrix
from stratarouter_runtime.routing.lexical import Lexicon

SHOWN: Final = 8
"""How many routes are told."""
_CLOSE: Final = 4
"""How many of them have their examples compared one by one."""
_NEAR: Final = 32
"""Without a head: how many routes, best by centroid and words, have their examples compared."""
LEXICAL: Final = 3.0
"""Logits that a lexical score of 1 counts for, beside the head."""

Mask: TypeAlias = npt.NDArray[np.bool_]
Vector: TypeAlias = npt.NDArray[np.float32]


class Weighed(Struct, frozen=True):
    """The best routes, best first, with their scores; `nearest` only of the first few.

    `scores` are probabilities where a head was trained, else the fused similarity. `features` are
    those of `acceptance`.
    """

    routes: tuple[int, ...]
    scores: tuple[float, ...]
    nearest: tuple[float, ...]
    lexical: tuple[float, ...]
    features: tuple[float, ...]


class Model:
    """Rows of `vectors` are examples, grouped by route: `owner` never falls, and leaves no route out.

    Routes are numbered in the order that decides between equal scores.
    """

    def __init__(self, vectors: Matrix, owner: Labels, texts: Sequence[str], head: Head | None) -> None:
        self.count = int(owner[-1]) + 1
        self.dimension = vectors.shape[1]
        self._vectors = vectors
        self._starts = np.searchsorted(owner, np.arange(self.count + 1)).tolist()
        sums = np.add.reduceat(vectors, self._starts[:-1], axis=0)
        self._centroids: Matrix = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        self._lexicon = Lexicon(texts, owner.tolist(), self.count)
        self._head = head

    def weigh(self, text: str, vector: Vector, among: Mask | None = None) -> Weighed:
        """Weigh the routes, or those `among` them. Raises `ValueError` for a vector that is none."""
        if vector.shape != (self.dimension,) or not isfinite(float(vector @ vector)):
            raise ValueError(f"a vector of {self.dimension} finite numbers is needed, not {vector.shape}")
        lexical = self._lexicon.scores(text)
        raw, fused = self._fused(vector, lexical, among)
        top, logits = _top(fused)
        near = [self._nearest(route, vector) for route in top[:_CLOSE]]
        total = self._total(fused, logits[0])
        best = top[0]
        features = (
            logits[0] - total,
            logits[0] - (logits[1] if len(top) > 1 else logits[0]),
            max(near),
            near[0],
            float(np.vecdot(self._centroids[best], vector)),
            float(lexical.max()),
            float(raw[best]),
        )
        scores = [exp(logit - total) for logit in logits] if self._head is not None else logits
        return Weighed(
            tuple(top), _settled(scores), _settled(near), _settled(lexical[top].tolist()), features
        )

    @property
    def centroids(self) -> Matrix:
        """The direction of each route: the mean of its examples, brought to length 1."""
        return self._centroids

    def _fused(
        self, vector: Vector, lexical: npt.NDArray[np.float64], among: Mask | None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """What the head, or the centroids, say by themselves; and together with words and neighbours."""
        if self._head is not None:
            raw = (np.vecdot(self._head.weights, vector) + self._head.bias).astype(np.float64)
            fused = raw + LEXICAL * lexical
        else:
            raw = np.vecdot(self._centroids, vector).astype(np.float64)
            fused = 0.5 * raw + 0.25 * lexical
        if among is not None:
            fused = np.where(among, fused, -np.inf)
        if self._head is None:
            near = _best(fused, _NEAR)
            closest = [0.5 * self._nearest(route, vector) for route in near]
            final = np.full(self.count, -np.inf)
            final[near] = fused[near] + closest
            fused = final
        return raw, fused.round(PLACES)

    def _nearest(self, route: int, vector: Vector) -> float:
        rows = self._vectors[self._starts[route] : self._starts[route + 1]]
        cosines: list[float] = np.vecdot(rows, vector).tolist()
        return max(cosines)

    def _total(self, fused: npt.NDArray[np.float64], best: float) -> float:
        """The logarithm of the sum of powers, in logits; without a head nothing is a probability."""
        return best + float(np.log(np.exp(fused - best).sum())) if self._head is not None else 0.0


def _settled(values: list[float]) -> tuple[float, ...]:
    return tuple([round(value, PLACES) + 0.0 for value in values])


def _top(fused: npt.NDArray[np.float64]) -> tuple[list[int], list[float]]:
    """The routes that are told, best first, and their logits; none that may not be chosen."""
    top = _best(fused, SHOWN)
    logits: list[float] = fused[top].tolist()
    if logits[-1] == -np.inf:
        logits = [logit for logit in logits if logit != -np.inf]
    return top[: len(logits)], logits


def _best(scores: npt.NDArray[np.float64], count: int) -> list[int]:
    """The highest, best first; equal ones in the order of the routes."""
    if len(scores) > count:
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        found = np.flatnonzero(scores >= least)
    else:
        found = np.arange(len(scores))
    order: list[int] = found[np.argsort(-scores[found], kind="stable")][:count].tolist()
    return order
