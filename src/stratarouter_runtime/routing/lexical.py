"""Which words routes are told apart by: cosine of tf-idf, a query against the centroid of a route.

Words and pairs of neighbouring words count, damped by the logarithm; words that stand in few
examples count more (`log((1 + N) / (1 + df)) + 1`). Must never know: vectors of meaning.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

_WORD: Final = re.compile(r"\w+")
_MAX_WORDS: Final = 512
"""Of a query: words beyond tell nothing more, and cost time."""
_MAX_CHARACTERS: Final = 8_192

Scores: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.int32]


class Lexicon:
    """The words of a table. `count` is the number of its routes; `texts[i]` belongs to route `of[i]`.

    Terms are numbered, and what is known of all of them lies in flat arrays: those of term `n` are from
    `starts[n]` to `starts[n + 1]`. A record each would take more memory than the vectors.
    """

    def __init__(self, texts: Sequence[str], of: Sequence[int], count: int) -> None:
        frequency = Counter(term for text in texts for term in _counts(text))
        self._count = count
        self._numbers = {term: number for number, term in enumerate(frequency)}
        weights = (math.log((1 + len(texts)) / (1 + times)) + 1.0 for times in frequency.values())
        self._weights = array("d", weights)
        terms, routes, shares = self._centroids(texts, of)
        order = np.argsort(terms, kind="stable")
        self._starts = np.searchsorted(terms[order], np.arange(len(frequency) + 1))
        self._where, self._how = routes[order], shares[order]

    def scores(self, text: str) -> Scores:
        """The cosine of the text with each route, from 0 to 1; all 0 where it shares no word."""
        query = self._vector(_counts(text))
        if not query:
            return np.zeros(self._count)
        numbers = np.fromiter(query, dtype=np.intp, count=len(query))
        shares = np.fromiter(query.values(), dtype=np.float64, count=len(query))
        starts = self._starts[numbers]
        sizes = self._starts[numbers + 1] - starts
        ends = sizes.cumsum()
        # One look-up for all terms: a slice for each would take longer than the sums.
        at = np.arange(ends[-1]) + (starts - ends + sizes).repeat(sizes)
        scores = np.bincount(
            self._where[at], weights=self._how[at] * shares.repeat(sizes), minlength=self._count
        )
        return scores.astype(np.float64, copy=False)

    def _vector(self, counts: Mapping[str, int]) -> dict[int, float]:
        """By the numbers of its terms; those that no example has are left out."""
        weights: dict[int, float] = {}
        for term, times in counts.items():
            number = self._numbers.get(term)
            if number is not None:
                damped = 1.0 if times == 1 else 1.0 + math.log(times)
                weights[number] = damped * self._weights[number]
        length = math.sqrt(math.fsum(weight * weight for weight in weights.values()))
        return {term: weight / length for term, weight in weights.items()}

    def _centroids(self, texts: Sequence[str], of: Sequence[int]) -> tuple[Places, Places, Scores]:
        """For every term of a route: the term, the route, and its share of the route's direction."""
        terms, routes, shares = array("i"), array("i"), array("d")
        grouped: dict[int, list[str]] = defaultdict(list)
        for text, route in zip(texts, of, strict=True):
            grouped[route].append(text)
        for route, own in grouped.items():
            centroid: dict[int, float] = defaultdict(float)
            for text in own:
                for term, weight in self._vector(_counts(text)).items():
                    centroid[term] += weight
            length = math.sqrt(math.fsum(weight * weight for weight in centroid.values())) or 1.0
            terms.extend(centroid)
            routes.extend([route] * len(centroid))
            shares.extend(weight / length for weight in centroid.values())
        return np.array(terms), np.array(routes), np.array(shares)


def _counts(text: str) -> Counter[str]:
    words = _WORD.findall(text[:_MAX_CHARACTERS].lower())[:_MAX_WORDS]
    return Counter([*words, *map(" ".join, pairwise(words))])
