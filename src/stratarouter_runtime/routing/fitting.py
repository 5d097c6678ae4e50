"""From a table and the vectors of its examples to what decides: a head, an acceptance, and a report.

What is accepted is learnt from examples that the table had not seen: it is trained again without a
part of its utterances, and asked about these. Must never know: files, or who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
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
from stratarouter_runtime.routing.choose import PLACES
from stratarouter_runtime.routing.head import Head, Labels, Matrix, train
from stratarouter_runtime.routing.model import Model
from stratarouter_runtime.routing.report import Report
from stratarouter_runtime.routing.tables import Table

CONTEXT: Final = "stratarouter routing table 1.0"
"""Of digests: equal bytes elsewhere have another one."""

ENOUGH: Final = 10
"""Held-out queries of either kind below which nothing is calibrated on them."""
PARTS: Final = 5
SUFFICIENT: Final = 1_500
"""Held-out examples that tell enough: no further part is held out, as each is a training of its own."""


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
    """Learn from a checked table. `vectors` are those of `examples(table).texts`, `none` of `table.foreign()`.

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
    foreign = np.array(
        [model.weigh(text, row).features for text, row in zip(table.foreign(), none, strict=True)]
    )
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
    parts = _parts(known, vectors)
    features: list[tuple[float, ...]] = []
    right: list[bool] = []
    for part in range(PARTS):
        if len(features) >= SUFFICIENT:
            break
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


def _parts(known: Examples, vectors: Matrix) -> npt.NDArray[np.intp]:
    """Which part an example is held out with; -1: never, as its route has no other.

    Of every other route they are those of the parts in turn, of the rest neighbours of each other. Held
    out in turn, an example leaves others behind that were said like it, and is recognised better than
    what is asked later; held out with its neighbours it is recognised worse. Half of each comes nearest.
    """
    parts = np.full(len(known.texts), -1, dtype=np.intp)
    starts = np.searchsorted(known.owner, np.arange(len(known.routes) + 1))
    for route, (start, end) in enumerate(pairwise(starts.tolist())):
        count = end - start
        if count > 1:
            order = np.arange(count) if route % 2 == 0 else _ranks(vectors[start:end]) * PARTS // count
            # Neighbours at the rim differ from those in the middle: each part gets some of all.
            parts[start:end] = (order + (route // 2 if route % 2 else 0)) % PARTS
    parts[~known.spoken] = -1
    return parts


def _ranks(vectors: Matrix) -> npt.NDArray[np.intp]:
    """The places of vectors along the direction in which they spread most."""
    spread = vectors - vectors.mean(axis=0)
    along = np.linalg.svd(spread, full_matrices=False)[0][:, 0].round(PLACES)
    ranks = np.empty(len(vectors), dtype=np.intp)
    ranks[np.argsort(along, kind="stable")] = np.arange(len(vectors))
    return ranks


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
