"""The nearest rows are those that looking at every row finds."""

from __future__ import annotations

from array import array
from random import Random  # noqa: TID251 - seeded: the same vectors every time

import pytest

from stratarouter_runtime.cache.matrix import Matrix


def drawn(draw: Random, parts: int, near: list[float] | None = None) -> list[float]:
    """Vectors of length 1, side by side; close to others where these are given."""
    numbers: list[float] = []
    for part in range(parts):
        base = [0.0] * 16 if near is None else near[part * 16 : part * 16 + 16]
        one = [3 * number + draw.gauss(0, 0.5) for number in base]
        length = sum(number * number for number in one) ** 0.5
        numbers += [number / length for number in one]
    return numbers


def packed(numbers: list[float]) -> bytes:
    """As an embedder gives them."""
    return array("f", numbers).tobytes()


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("least", [0.5, 0.85, 0.95])
def test_nothing_that_is_near_is_missed(parts: int, least: float) -> None:
    """However few of its numbers are looked at first; the least cosine of its parts counts."""
    draw = Random(7)  # noqa: S311 - no secret
    query = drawn(draw, parts)
    rows = [drawn(draw, parts, query if number % 3 else None) for number in range(200)]
    matrix = Matrix()
    for place, row in enumerate(rows):
        matrix.put(place, packed(row), parts)
    for place in range(0, 200, 50):
        matrix.drop(place)
    cosines = {
        place: min(
            sum(a * b for a, b in zip(row[at : at + 16], query[at : at + 16], strict=True))
            for at in range(0, 16 * parts, 16)
        )
        for place, row in enumerate(rows)
        if place % 50
    }
    wanted = sorted((place for place in cosines if cosines[place] >= least), key=lambda at: -cosines[at])
    found = matrix.nearest(packed(query), least, 200)
    assert [place for place, _ in found] == wanted
    assert all(abs(cosine - cosines[place]) < 1e-5 for place, cosine in found)


def test_vectors_of_another_length_are_near_nothing() -> None:
    """They are another encoder's."""
    matrix = Matrix()
    matrix.put(0, packed([1.0, 0.0]), 1)
    assert matrix.nearest(packed([1.0, 0.0, 0.0]), 0.5, 4) == []
    assert Matrix().nearest(packed([1.0]), 0.5, 4) == []
