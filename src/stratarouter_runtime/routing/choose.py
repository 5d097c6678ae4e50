"""From scores to a decision: which candidate answers, how clearly, or that none does.

Rules are the flow's own and are decided by the engine before anything is scored. Must
never know where scores come from, what the candidates do, or what happens to those that
are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

PLACES: Final = 6
"""Scores count to this many decimal places: finer differences are noise of the hardware."""


class Choice(Struct, frozen=True):
    """The candidate that answers, and what it takes to explain why.

    `index` is its number in written order. `margin` is how far the runner-up is behind;
    where there is a single candidate there is no runner-up and the margin is the score.
    """

    index: int
    name: str
    score: float
    runner_up: str | None
    margin: float


def settle(score: float) -> float:
    """The score as it is compared and journaled: rounded, never `-0.0`; NaN is the lowest cosine."""
    return -1.0 if math.isnan(score) else round(score, PLACES) + 0.0


def choose(scores: Sequence[float], names: Sequence[str], minimum: float) -> Choice | None:
    """The highest score of at least `minimum`; equal scores are decided by written order.

    `scores[i]` belongs to `names[i]`; lengths that differ raise `ValueError`. None where
    there are no candidates or none reaches the minimum.
    """
    settled = [(settle(score), name) for score, name in zip(scores, names, strict=True)]
    # `sorted` is stable, so that among equals the one written first stays first.
    order = sorted(range(len(settled)), key=lambda index: -settled[index][0])
    if not order or settled[order[0]][0] < minimum:
        return None
    score, name = settled[order[0]]
    if len(order) == 1:
        return Choice(order[0], name, score, None, score)
    behind, runner_up = settled[order[1]]
    return Choice(order[0], name, score, runner_up, settle(score - behind))
