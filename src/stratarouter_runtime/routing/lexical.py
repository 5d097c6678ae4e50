"""Which words routes are told apart by: cosine of tf-idf, a query against the centroid of a route.

Words and pairs of neighbouring words count, damped by the logarithm; words that stand in few
examples count more (`log((1 + N) / (1 + df)) + 1`). Must never know: vectors of meaning.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

_WORD: Final = re.compile(r"\w+")
_MAX_WORDS: Final = 512
"""Of a query: words beyond tell nothing more, and cost time."""
_MAX_CHARACTERS: Final = 8_192

Scores: TypeAlias = npt.NDArray[np.float64]


class Lexicon:
    """The words of a table. `count` is the number of its routes; `texts[i]` belongs to route `of[i]`."""

    def __init__(self, texts: Sequence[str], of: Sequence[int], count: int) -> None:
        documents = [_counts(text) for text in texts]
        frequency = Counter(term for document in documents for term in document)
        self._count = count
        self._weight = {
            term: math.log((1 + len(texts)) / (1 + frequency[term])) + 1.0 for term in sorted(frequency)
        }
        self._where: dict[str, npt.NDArray[np.intp]] = {}
        self._how: dict[str, npt.NDArray[np.float64]] = {}
        self._index(self._centroids(documents, of))

    def scores(self, text: str) -> Scores:
        """The cosine of the text with each route, from 0 to 1; all 0 where it shares no word."""
        query = self._vector(_counts(text))
        if not query:
            return np.zeros(self._count)
        where = np.concatenate([self._where[term] for term in query])
        how = np.concatenate([self._how[term] for term in query])
        shares = np.array(list(query.values())).repeat([len(self._where[term]) for term in query])
        scores: Scores = np.bincount(where, weights=how * shares, minlength=self._count).astype(
            np.float64, copy=False
        )
        return scores

    def _vector(self, counts: Mapping[str, int]) -> dict[str, float]:
        weights = {
            term: (1.0 + math.log(times)) * self._weight[term]
            for term, times in counts.items()
            if term in self._weight
        }
        length = math.sqrt(math.fsum(weight * weight for weight in weights.values()))
        return {term: weight / length for term, weight in weights.items()}

    def _centroids(self, documents: Sequence[Mapping[str, int]], of: Sequence[int]) -> list[dict[str, float]]:
        centroids: list[dict[str, float]] = [defaultdict(float) for _ in range(self._count)]
        for document, route in zip(documents, of, strict=True):
            for term, weight in self._vector(document).items():
                centroids[route][term] += weight
        return centroids

    def _index(self, centroids: Sequence[Mapping[str, float]]) -> None:
        postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for route, centroid in enumerate(centroids):
            length = math.sqrt(math.fsum(weight * weight for weight in centroid.values())) or 1.0
            for term, weight in centroid.items():
                postings[term].append((route, weight / length))
        for term, found in postings.items():
            self._where[term] = np.array([route for route, _ in found], dtype=np.intp)
            self._how[term] = np.array([weight for _, weight in found])


def _counts(text: str) -> Counter[str]:
    words = _WORD.findall(text[:_MAX_CHARACTERS].lower())[:_MAX_WORDS]
    return Counter(_terms(words))


def _terms(words: Sequence[str]) -> Iterator[str]:
    yield from words
    yield from (f"{left} {right}" for left, right in pairwise(words))
