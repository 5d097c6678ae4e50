"""A trained head: multinomial logistic regression over vectors of meaning, in numpy alone.

Nothing at random, and one minimum that is found: the same examples give the same head. Must never
know: texts, or what the routes are called.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Struct

PRIOR: Final = 0.15
"""Strength of the Gaussian prior on the weights, for all examples together: by itself it says "no route"."""
SHRINK: Final = 0.5
"""How much of the spread within routes is taken as equal in all directions: few examples tell little of it."""
STEPS: Final = 100
"""At most; public data take 20 to 40."""
ENOUGH: Final = 5e-4
"""Of the first slope: where less is left, the minimum is found. More changed no figure on any data measured."""

_MEMORY: Final = 8
_CELLS: Final = 1 << 22
"""Examples times routes that are looked at together."""
_HALVINGS: Final = 12

Matrix: TypeAlias = npt.NDArray[np.float32]
Labels: TypeAlias = npt.NDArray[np.intp]


class _Move(Struct, frozen=True):
    """A step that was taken, and how the slope changed by it."""

    move: Matrix
    bend: Matrix
    curvature: float


class Head(Struct, frozen=True):
    """Logits of a vector `v`: `weights @ v + bias`; one row a route."""

    weights: Matrix
    bias: Matrix


def train(vectors: Matrix, labels: Labels, routes: int, steps: int = STEPS) -> Head:
    """The head that tells these vectors apart; `labels[i]` from 0 to `routes - 1` is that of row `i`.

    Every route needs an example. The vectors are first brought to where routes spread alike in all
    directions (the within-class whitening of linear discriminant analysis), in which descent is quick;
    the weights returned are for vectors as they come.
    """
    centre, whiten = _whitening(vectors, labels, routes)
    weights = _descend(np.asarray((vectors - centre) @ whiten, dtype=np.float32), labels, routes, steps)
    back = whiten @ weights[:-1]
    return Head(np.ascontiguousarray(back.T), weights[-1] - centre @ back)


def _whitening(vectors: Matrix, labels: Labels, routes: int) -> tuple[Matrix, Matrix]:
    means = np.zeros((routes, vectors.shape[1]))
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=routes)
    starts = np.r_[0, np.cumsum(counts)[:-1]]
    means[:] = np.add.reduceat(vectors[order].astype(np.float64), starts, axis=0)
    means /= counts[:, None]
    centre = means.mean(axis=0)
    residual = (vectors - means[labels]) / math.sqrt(len(vectors))
    whiten = _inverse_root(residual) / math.sqrt(residual.shape[1])
    return centre.astype(np.float32), whiten.astype(np.float32)


def _inverse_root(residual: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of the spread `residual.T @ residual`, shrunk towards its mean in all directions."""
    size = residual.shape[1]
    level = SHRINK * (float(np.vdot(residual, residual)) / size or 1.0)
    if len(residual) >= size:
        values, directions = np.linalg.eigh((1 - SHRINK) * (residual.T @ residual))
        root: npt.NDArray[np.float64] = directions / np.sqrt(np.maximum(values, 0.0) + level)
        return root
    # Fewer examples than dimensions: the spread is flat but in their directions, which are quicker found.
    _, lengths, directions = np.linalg.svd(residual, full_matrices=False)
    flat = 1.0 / math.sqrt(level)
    bent = 1.0 / np.sqrt((1 - SHRINK) * lengths**2 + level) - flat
    return np.asarray(flat * np.eye(size) + (directions.T * bent) @ directions, dtype=np.float64)


def _descend(vectors: Matrix, labels: Labels, routes: int, steps: int) -> Matrix:
    """L-BFGS with halved steps (Nocedal and Wright, 2006, algorithm 7.5); the last row is the bias."""
    inputs = np.hstack([vectors, np.ones((len(vectors), 1), dtype=np.float32)])
    weights = np.zeros((inputs.shape[1], routes), dtype=np.float32)
    loss, slope = _objective(inputs, labels, weights)
    first = _length(slope)
    past: deque[_Move] = deque(maxlen=_MEMORY)
    for _ in range(steps):
        if _length(slope) <= ENOUGH * first:
            break
        towards = _direction(slope, past)
        found = _step(inputs, labels, weights, loss, slope, towards)
        if found is None:  # floats tell no difference any more
            break
        after, loss, following = found
        move, bend = after - weights, following - slope
        weights, slope = after, following
        if (curvature := float(np.vdot(move, bend))) > 0.0:
            past.append(_Move(move, bend, curvature))
    return weights


def _objective(inputs: Matrix, labels: Labels, weights: Matrix) -> tuple[float, Matrix]:
    """What is made small, and its slope: the mean cross-entropy, and the prior's share of it."""
    count, prior = len(inputs), PRIOR / len(inputs)
    size = max(1, _CELLS // weights.shape[1])
    loss, slope = 0.0, np.zeros_like(weights)
    # In parts: a probability for every example and route would take more memory than all else.
    for start in range(0, count, size):
        part = slice(start, start + size)
        loss += _wrong(inputs[part], labels[part], weights, slope)
    slope /= np.float32(count)
    slope[:-1] += np.float32(prior) * weights[:-1]
    return loss / count + 0.5 * prior * float(np.vdot(weights[:-1], weights[:-1])), slope


def _wrong(inputs: Matrix, labels: Labels, weights: Matrix, slope: Matrix) -> float:
    """The cross-entropy of some examples; what they say of the slope is added to it."""
    rows = np.arange(len(inputs))
    wrong = inputs @ weights
    wrong -= wrong.max(axis=1, keepdims=True)
    own = wrong[rows, labels]
    np.exp(wrong, out=wrong)
    sums = wrong.sum(axis=1)
    wrong /= sums[:, None]
    wrong[rows, labels] -= 1.0
    slope += inputs.T @ wrong
    return float((np.log(sums) - own).sum(dtype=np.float64))


def _direction(slope: Matrix, past: Sequence[_Move]) -> Matrix:
    """Downhill, as the last moves have shown that the slope changes."""
    towards = -slope
    shares: list[float] = []
    for one in reversed(past):
        shares.append(float(np.vdot(one.move, towards)) / one.curvature)
        towards -= np.float32(shares[-1]) * one.bend
    if past:
        towards *= np.float32(past[-1].curvature / float(np.vdot(past[-1].bend, past[-1].bend)))
    else:
        towards /= np.float32(_length(slope))
    for one, share in zip(past, reversed(shares), strict=True):
        back = float(np.vdot(one.bend, towards)) / one.curvature
        towards += np.float32(share - back) * one.move
    return towards


def _step(  # the state of the search, which has no life of its own
    inputs: Matrix, labels: Labels, weights: Matrix, loss: float, slope: Matrix, towards: Matrix
) -> tuple[Matrix, float, Matrix] | None:
    """The first of ever shorter steps after which the loss is low enough (Armijo's rule)."""
    fall = float(np.vdot(slope, towards))
    for halved in range(_HALVINGS):
        size = 0.5**halved
        after = weights + np.float32(size) * towards
        found, following = _objective(inputs, labels, after)
        if found <= loss + 1e-4 * size * fall:
            return after, found, following
    return None


def _length(slope: Matrix) -> float:
    return float(np.linalg.norm(slope))
