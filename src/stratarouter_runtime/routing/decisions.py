"""One decision, explained: a rule, or what somebody else decided, or the best route if it is accepted.

Must never know: where vectors, rules or the decisions of others come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
from msgspec import Struct

from stratarouter_runtime.errors import InvalidInput, InvalidState
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.routing.acceptance import Method
from stratarouter_runtime.routing.choose import PLACES
from stratarouter_runtime.routing.fitting import Fitted
from stratarouter_runtime.routing.model import Weighed

MAX_QUERY: Final = 65_536
"""Characters of a query. More is refused: no encoder looks at it, and somebody is mistaken."""

By: TypeAlias = Literal["rule", "core", "table", "none"]


class Candidate(Struct, frozen=True, omit_defaults=True):
    """A route as it was weighed: its score, cosine to its nearest example, and lexical score."""

    route: str
    score: float
    nearest: float = 0.0
    lexical: float = 0.0


class Decision(Struct, frozen=True, omit_defaults=True):
    """Which route, and why.

    `route` is None where nothing was good enough; `best` is then what came nearest. `by` says who
    decided: a rule (`rule` names it), StrataRouter-Core, the table, or `none`. `confidence` was
    compared with `threshold` as `method` says: `calibrated` on examples of what belongs nowhere,
    `cosine` alone where there are too few of these, `anything` where there are too few examples at
    all. `margin` is how far the score of the runner-up is behind.
    """

    route: str | None
    by: By
    best: str = ""
    rule: str = ""
    confidence: float = 0.0
    threshold: float = 0.0
    method: Method | None = None
    runner_up: str = ""
    margin: float = 0.0
    candidates: tuple[Candidate, ...] = ()
    table: Digest | None = None
    note: str = ""


class Router:
    """A fitted table, ready to decide. `digest` is its own; `encoder` what made its vectors."""

    def __init__(self, fitted: Fitted, digest: Digest) -> None:
        self.digest = digest
        self.encoder = fitted.encoder
        self.fitted = fitted
        self._model = fitting.model(fitted)
        self._names = fitting.examples(fitted.table).routes
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._accept = fitted.acceptance

    @property
    def routes(self) -> tuple[str, ...]:
        """The names of its routes."""
        return self._names

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
        if among is None:
            return None
        mask = np.zeros(len(self._names), dtype=np.bool_)
        mask[[self._numbers[name] for name in among]] = True
        return mask

    def _explained(self, weighed: Weighed) -> Decision:
        confidence = round(self._accept.score(weighed.features), PLACES) + 0.0
        accepted = self._accept.method == "anything" or confidence >= self._accept.threshold
        shown = zip(weighed.routes, weighed.scores, weighed.nearest, weighed.lexical, strict=True)
        candidates = tuple(Candidate(self._names[route], *rest) for route, *rest in shown)
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


_NOTES: Final = {
    "calibrated": "",
    "cosine": "accepted by cosine alone: the table has too few examples of what belongs to no route",
    "anything": "nothing is refused: the table has too few examples to say what is near",
}


def check_query(query: object) -> None:
    """Raise `InvalidInput` for what cannot be routed: no text, none at all, or far too much."""
    if not isinstance(query, str):
        raise InvalidInput(f"a query is a text, not a {type(query).__name__}", pointer="/query")
    if not query.strip():
        raise InvalidInput("the query is empty", pointer="/query", hint="send what has to be routed")
    if len(query) > MAX_QUERY:
        raise InvalidInput(
            f"the query has {len(query)} characters; {MAX_QUERY} are possible",
            pointer="/query",
            hint="route a summary of it",
        )
    try:
        query.encode()
    except UnicodeEncodeError:
        raise InvalidInput("the query holds half a surrogate pair: it is no text", pointer="/query") from None
