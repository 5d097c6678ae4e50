"""A fitted table that decides: the best route, if it is accepted.

Must never know: where vectors, rules or the decisions of others come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from stratarouter_runtime.errors import InvalidState
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.routing.choose import PLACES
from stratarouter_runtime.routing.explained import Candidate, Decision, check_query
from stratarouter_runtime.routing.fitting import Fitted
from stratarouter_runtime.routing.model import SHOWN, Weighed

_UNSEEN: Final = (None,) * SHOWN

_NOTES: Final = {
    "calibrated": "",
    "cosine": "accepted by cosine alone: the table has too few examples of what belongs to no route",
    "anything": "nothing is refused: the table has too few examples to say what is near",
}


class Router:
    """A fitted table, ready to decide. `digest` is its own; `encoder` what made its vectors.

    `table` is as it was written, `report` what held-out examples came to.
    """

    def __init__(self, fitted: Fitted, digest: Digest) -> None:
        self.digest = digest
        self.encoder = fitted.encoder
        self.table, self.report = fitted.table, fitted.report
        self._model = fitting.model(fitted)
        self._names = fitting.examples(fitted.table).routes
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._accept = fitted.acceptance

    @property
    def routes(self) -> tuple[str, ...]:
        """The names of its routes."""
        return self._names

    def centroids(self, names: Sequence[str]) -> tuple[bytes, ...]:
        """One vector for each of these routes: little-endian float32."""
        rows = self._model.centroids
        return tuple(rows[self._numbers[name]].astype("<f4").tobytes() for name in names)

    def covers(self, names: Sequence[str]) -> bool:
        """Whether all of these are routes of it."""
        return all(name in self._numbers for name in names)

    def decide(self, query: str, vector: bytes, encoder: str, among: Sequence[str] | None = None) -> Decision:
        """The best route, if it is accepted; `among` leaves only these of its routes.

        `vector` is what `encoder` made of the query: little-endian float32. Raises `InvalidInput`
        for a query that cannot be routed, `InvalidState` where the encoder is another one.
        """
        check_query(query)
        if encoder != self.encoder:
            raise InvalidState(
                f"the table was fitted with the encoder {self.encoder}, and {encoder} is in use",
                hint="set the encoder that fitted it, or fit a new version: strata routing fit",
            )
        numbers = np.frombuffer(vector, "<f4")
        try:
            weighed = self._model.weigh(query, numbers, self._mask(among))
        except ValueError as error:
            raise InvalidState(f"the encoder {encoder} is not what it was: {error}") from None
        return self._explained(weighed)

    def _mask(self, among: Sequence[str] | None) -> np.ndarray[tuple[int], np.dtype[np.bool_]] | None:
        if among is None or len(set(among)) == len(self._names):
            return None
        mask = np.zeros(len(self._names), dtype=np.bool_)
        mask[[self._numbers[name] for name in among]] = True
        return mask

    def _explained(self, weighed: Weighed) -> Decision:
        confidence = round(self._accept.score(weighed.features), PLACES) + 0.0
        accepted = self._accept.method == "anything" or confidence >= self._accept.threshold
        near = (*weighed.nearest, *_UNSEEN)
        shown = zip(weighed.routes, weighed.scores, near, weighed.lexical, strict=False)
        candidates = tuple(
            [Candidate(self._names[route], score, at, words) for route, score, at, words in shown]
        )
        best, behind = candidates[0], candidates[1] if len(candidates) > 1 else None
        return Decision(
            route=best.route if accepted else None,
            by="table" if accepted else "none",
            best=best.route,
            confidence=confidence,
            threshold=self._accept.threshold,
            method=self._accept.method,
            runner_up=behind.route if behind else "",
            margin=round(best.score - (behind.score if behind else 0.0), PLACES) + 0.0,
            candidates=candidates,
            table=self.digest,
            note=_NOTES[self._accept.method],
        )
