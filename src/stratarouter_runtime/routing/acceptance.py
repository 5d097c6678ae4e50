"""Whether the best route is good enough: a calibrated score on seven features, or a cosine alone.

Must never know: how features come about, or what happens to a query that is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from stratarouter_runtime.routing.explained import Method

FEATURES: Final = (
    "log of the probability",
    "margin to the runner-up",
    "highest cosine",
    "cosine to the route's nearest example",
    "cosine to the route's centroid",
    "highest lexical score",
    "score of the head",
)
HIGHEST_COSINE: Final = 2

KEPT: Final = 0.965
"""The share of queries that belong to their route which the threshold is set to accept."""
_RIDGE: Final = 0.01
_STEPS: Final = 25

Features: TypeAlias = npt.NDArray[np.float64]


class Acceptance(Struct, frozen=True, omit_defaults=True):
    """Accepts a score of at least `threshold`: `calibrated` is a logit, `cosine` the highest cosine.

    Features are centred by `mean`, divided by `scale` and weighed; the last of `weights` is the bias.
    """

    method: Method
    threshold: float
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()

    def score(self, features: Sequence[float]) -> float:
        """What is compared with the threshold."""
        if self.method != "calibrated":
            return float(features[HIGHEST_COSINE])
        terms = zip(features, self.mean, self.scale, self.weights, strict=False)
        return sum((value - mean) / scale * weight for value, mean, scale, weight in terms) + self.weights[-1]


ANYTHING: Final = Acceptance("anything", -1.0)
"""Of a table that has too few examples to say what is near."""


def calibrate(known: Features, foreign: Features) -> Acceptance:
    """From features of queries that belong to their routes, and of some that belong to none.

    Logistic regression by Newton's method, both kinds counting alike; the threshold keeps `KEPT`
    of the known ones.
    """
    both = np.vstack([known, foreign])
    mean, scale = both.mean(axis=0), both.std(axis=0) + 1e-9
    inputs = np.hstack([(both - mean) / scale, np.ones((len(both), 1))])
    wanted = np.r_[np.ones(len(known)), np.zeros(len(foreign))]
    share = np.r_[np.full(len(known), 0.5 / len(known)), np.full(len(foreign), 0.5 / len(foreign))]
    ridge = np.r_[np.full(known.shape[1], _RIDGE), 1e-9]
    weights = np.zeros(inputs.shape[1])
    for _ in range(_STEPS):
        likely = 1.0 / (1.0 + np.exp(-np.clip(inputs @ weights, -50, 50)))
        slope = inputs.T @ (share * (likely - wanted)) + ridge * weights
        bend = (inputs * (share * likely * (1.0 - likely))[:, None]).T @ inputs + np.diag(ridge)
        weights = weights - np.linalg.solve(bend, slope)
    learnt = Acceptance("calibrated", 0.0, _floats(mean), _floats(scale), _floats(weights))
    scores = [learnt.score(row) for row in known.tolist()]
    return Acceptance("calibrated", threshold(scores), learnt.mean, learnt.scale, learnt.weights)


def by_cosine(highest: npt.NDArray[np.float64]) -> Acceptance:
    """Without foreign examples: the highest cosines of known queries, each seen for the first time."""
    return Acceptance("cosine", threshold(list(highest))) if len(highest) else ANYTHING


def threshold(scores: list[float]) -> float:
    """What `KEPT` of these scores reach."""
    return round(float(sorted(scores)[int((1.0 - KEPT) * len(scores))]), 6)


def _floats(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 9) for value in values)
