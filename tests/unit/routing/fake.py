"""What the tests of routing share: vectors that need no model, and small tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stratarouter_runtime.bridge.lexical import HashedNgrams
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.routing.decisions import Router
from stratarouter_runtime.routing.explained import Decision
from stratarouter_runtime.routing.fitting import Fitted
from stratarouter_runtime.routing.tables import Route, Table

ENCODER: Final = "hashed"
THINGS: Final = {
    "billing": ("invoice", "refund", "receipt", "charge"),
    "tech": ("crash", "login", "password", "error"),
    "travel": ("flight", "hotel", "passport", "luggage"),
}
FRAMES: Final = (
    "I have a question about my {}",
    "please help with the {}",
    "what about a {} today",
    "{} again",
)
ODD: Final = ("moon", "poem", "recipe", "piano", "tiger", "volcano")


def table(none: int = 0, priority: int = 0) -> Table:
    """Three routes of 16 utterances; `none` examples of what belongs to none, `priority` of the last."""
    routes = tuple(
        Route(
            name,
            tuple(frame.format(thing) for frame in FRAMES for thing in things),
            priority=priority if name == "travel" else 0,
        )
        for name, things in THINGS.items()
    )
    odd = tuple(frame.format(thing) for thing in ODD for frame in FRAMES)
    return Table("agents", routes, odd[:none])


def vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    folded = HashedNgrams().encode(texts).reshape(len(texts), 16, 64).sum(axis=1)
    short: npt.NDArray[np.float32] = folded / np.maximum(np.linalg.norm(folded, axis=1, keepdims=True), 1e-9)
    return short


def fitted(written: Table, *, quick: bool = False) -> Fitted:
    known = fitting.examples(written)
    return fitting.fit(written, vectors(known.texts), vectors(written.none), ENCODER, quick=quick)


def router(written: Table, *, quick: bool = False) -> Router:
    made = fitted(written, quick=quick)
    return Router(made, Digest(fitting.digest_of(fitting.encode(made))))


def decide(made: Router, query: str, among: Sequence[str] | None = None) -> Decision:
    return made.decide(query, vectors([query])[0].tobytes(), ENCODER, among)
