"""From a table and the vectors of its examples to what decides: a head, an acceptance, and a report.

What is accepted is learnt from examples that the table had not seen: it is trained again without a
part of its utterances, and asked about these. Must never know: files, or who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from stratarouter_runtime import canonical
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.routing.acceptance import (
    ANYTHING,
    HIGHEST_COSINE,
    Acceptance,
    by_cosine,
    calibrate,
)
from stratarouter_runtime.routing.head import Head, Labels, Matrix, train
from stratarouter_runtime.routing.model import Model
from stratarouter_runtime.routing.tables import CONTEXT, Table

ENOUGH: Final = 10
"""Held-out queries of either kind below which nothing is calibrated on them."""
_MUCH: Final = 1_000_000
"""Examples times routes: a table of more is cut into fewer parts, as training takes so much longer."""


class Report(Struct, frozen=True, omit_defaults=True):
    """What held-out examples came to: how many, the share routed right, and what acceptance does to them.

    `accepted` is the share of all that was routed right and accepted, `refused` the share of the
    examples of "none" that was refused, on which acceptance itself was fitted.
    """

    queries: int = 0
    right: float = 0.0
    accepted: float = 0.0
    none: int = 0
    refused: float = 0.0


class Fitted(Struct, frozen=True, omit_defaults=True):
    """A table and all that was learnt: immutable, and the same bytes for the same decisions.

    `vectors` are half-precision floats, a row an example, in the order of `examples`; `weights`
    and `bias` single-precision, empty without a head.
    """

    table: Table
    encoder: str
    dimension: int
    vectors: bytes
    weights: bytes
    bias: bytes
    acceptance: Acceptance
    report: Report

    @property
    def trained(self) -> bool:
        """Whether a head was trained."""
        return bool(self.weights)


class Examples(Struct, frozen=True):
    """The examples of a table, grouped by route: text, number of its route, and whether somebody said it."""

    routes: tuple[str, ...]
    texts: tuple[str, ...]
    owner: Labels
    spoken: npt.NDArray[np.bool_]


def examples(table: Table) -> Examples:
    """In the order that decides between equal scores: higher priority first, then by name."""
    ordered = sorted(table.routes, key=lambda route: (-route.priority, route.name))
    rows = [
        (number, text, text in route.utterances)
        for number, route in enumerate(ordered)
        for text in route.examples()
    ]
    return Examples(
        tuple(route.name for route in ordered),
        tuple(text for _, text, _ in rows),
        np.array([number for number, _, _ in rows], dtype=np.intp),
        np.array([spoken for _, _, spoken in rows]),
    )


def fit(table: Table, vectors: Matrix, none: Matrix, encoder: str, *, quick: bool = False) -> Fitted:
    """Learn from a checked table. `vectors` are those of `examples(table).texts`, `none` of `table.none`.

    `quick` trains no head. Raises `InvalidInput` for vectors that are not numbers.
    """
    if not (np.isfinite(vectors).all() and np.isfinite(none).all()):
        raise InvalidInput(f"the encoder {encoder} gave vectors that are no numbers")
    known = examples(table)
    # What is stored is what is learnt from: a table read back decides as the one just made.
    kept = vectors.astype(np.float16)
    rounded = kept.astype(np.float32)
    head = None if quick else _head(rounded, known.owner)
    held = _held_out(known, rounded, quick=quick)
    model = Model(rounded, known.owner, known.texts, head)
    foreign = np.array([model.weigh(text, row).features for text, row in zip(table.none, none, strict=True)])
    accept = _acceptance(held, foreign)
    return Fitted(
        table,
        encoder,
        vectors.shape[1],
        kept.tobytes(),
        head.weights.astype("<f4").tobytes() if head else b"",
        head.bias.astype("<f4").tobytes() if head else b"",
        accept,
        _report(held, foreign, accept),
    )


def matrix(vectors: Sequence[bytes]) -> Matrix:
    """Vectors as embedders give them, as rows."""
    return np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), -1)


def encode(fitted: Fitted) -> bytes:
    """The bytes of a fitted table, by which it is known."""
    return msgspec.msgpack.encode(fitted)


def decode(body: bytes) -> Fitted:
    """What `encode` gave. Raises `InvalidInput` for other bytes."""
    try:
        return msgspec.msgpack.decode(body, type=Fitted)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidInput(f"these bytes are no fitted routing table: {error}") from None


def digest_of(body: bytes) -> Digest:
    """By what a fitted table is known: another example, encoder or head, another digest."""
    return canonical.digest_bytes(body, CONTEXT)


def model(fitted: Fitted) -> Model:
    """A fitted table at work."""
    known = examples(fitted.table)
    size = fitted.dimension
    vectors = np.frombuffer(fitted.vectors, "<f2").reshape(-1, size).astype(np.float32)
    head = None
    if fitted.trained:
        weights = np.frombuffer(fitted.weights, "<f4").reshape(-1, size)
        head = Head(weights, np.frombuffer(fitted.bias, "<f4"))
    return Model(vectors, known.owner, known.texts, head)


class _Held(Struct, frozen=True):
    features: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]


def _head(vectors: Matrix, owner: Labels) -> Head | None:
    """None for one route: there is nothing to tell apart."""
    routes = int(owner[-1]) + 1
    return train(vectors, owner, routes) if routes > 1 else None


def _held_out(known: Examples, vectors: Matrix, *, quick: bool) -> _Held:
    parts = _parts(known)
    features: list[tuple[float, ...]] = []
    right: list[bool] = []
    for part in range(max(parts, default=-1) + 1):
        rows = np.flatnonzero(parts == part)
        rest = np.flatnonzero(parts != part)
        if not len(rows):
            continue
        head = None if quick else _head(vectors[rest], known.owner[rest])
        without = Model(vectors[rest], known.owner[rest], [known.texts[row] for row in rest], head)
        for row in rows.tolist():
            weighed = without.weigh(known.texts[row], vectors[row])
            features.append(weighed.features)
            right.append(weighed.routes[0] == known.owner[row])
    return _Held(np.array(features), np.array(right, dtype=np.bool_))


def _parts(known: Examples) -> npt.NDArray[np.intp]:
    """Which part an example is held out with: those of a route in turn. -1: never, as its route has no other."""
    count = len(known.texts)
    folds = 5 if count * len(known.routes) <= _MUCH else 2
    starts = np.searchsorted(known.owner, known.owner)
    place = (np.arange(count) - starts) % folds
    alone = np.bincount(known.owner)[known.owner] < 2
    parts: npt.NDArray[np.intp] = np.where(known.spoken & ~alone, place, -1)
    return parts


def _acceptance(held: _Held, foreign: npt.NDArray[np.float64]) -> Acceptance:
    right = held.features[held.right] if len(held.right) else held.features
    if len(right) < ENOUGH:
        return ANYTHING
    if len(foreign) < ENOUGH:
        return by_cosine(right[:, HIGHEST_COSINE])
    return calibrate(right, foreign)


def _report(held: _Held, foreign: npt.NDArray[np.float64], accept: Acceptance) -> Report:
    accepted = [_accepts(accept, row) for row in held.features]
    refused = [not _accepts(accept, row) for row in foreign]
    return Report(
        len(held.right),
        _share(held.right.tolist()),
        _share([one and other for one, other in zip(accepted, held.right.tolist(), strict=True)]),
        len(foreign),
        _share(refused),
    )


def _accepts(accept: Acceptance, features: npt.NDArray[np.float64]) -> bool:
    return accept.score(features.tolist()) >= accept.threshold


def _share(hits: Sequence[bool]) -> float:
    return round(sum(hits) / len(hits), 6) if hits else 0.0
