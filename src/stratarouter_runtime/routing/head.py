"""A trained head: multinomial logistic regression over vectors of meaning, in numpy alone.

Fixed order, fixed number of steps, nothing at random: the same examples give the same head. Must
never know: texts, or what the routes are called.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Struct

PRIOR: Final = 0.15
"""Strength of the Gaussian prior on the weights, for all examples together: by itself it says "no route"."""
SHRINK: Final = 0.5
"""How much of the spread within routes is taken as equal in all directions: few examples tell little of it."""
STEPS: Final = 400
"""Of accelerated gradient descent, which goes on as 1/steps²; more changed nothing on any data measured."""

_POWERS: Final = 30

Matrix: TypeAlias = npt.NDArray[np.float32]
Labels: TypeAlias = npt.NDArray[np.intp]


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
    np.add.at(means, labels, vectors)
    means /= np.bincount(labels, minlength=routes)[:, None]
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
    """Nesterov's method with restarts (O'Donoghue and Candès, 2015); the last row is the bias."""
    count = len(vectors)
    inputs = np.hstack([vectors, np.ones((count, 1), dtype=np.float32)])
    rows, prior = np.arange(count), np.float32(PRIOR / count)
    bound = np.float32(0.5 * _steepest(inputs) / count) + prior
    weights = ahead = np.zeros((inputs.shape[1], routes), dtype=np.float32)
    momentum = 1.0
    for _ in range(steps):
        wrong = softmax(inputs @ ahead)
        wrong[rows, labels] -= 1.0
        slope = inputs.T @ wrong / np.float32(count)
        slope[:-1] += prior * ahead[:-1]
        following = ahead - slope / bound
        if np.vdot(ahead - following, following - weights) > 0:
            momentum = 1.0
        after = (1.0 + math.sqrt(1.0 + 4.0 * momentum * momentum)) / 2.0
        ahead = following + np.float32((momentum - 1.0) / after) * (following - weights)
        weights, momentum = following, after
    return weights


def _steepest(inputs: Matrix) -> float:
    """A little more than the largest eigenvalue of `inputs.T @ inputs`, by the power method."""
    direction = np.ones(inputs.shape[1], dtype=np.float32)
    size = 1.0
    for _ in range(_POWERS):
        direction = inputs.T @ (inputs @ direction)
        size = float(np.linalg.norm(direction))
        direction = direction / np.float32(size)
    return 1.1 * size


def softmax(logits: Matrix) -> Matrix:
    """Probabilities of each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return] # numpy loses the dtype
