"""A decision as it is told, and which queries can be decided on.

Must never know: how a decision comes about.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import Digest

MAX_QUERY: Final = 65_536
"""Characters of a query. More is refused: no encoder looks at it, and somebody is mistaken."""

By: TypeAlias = Literal["rule", "core", "table", "none"]
Method: TypeAlias = Literal["calibrated", "cosine", "anything"]


class Candidate(Struct, frozen=True, omit_defaults=True):
    """A route as it was weighed: its score, cosine to its nearest example, and lexical score.

    The examples of routes far behind are not compared one by one.
    """

    route: str
    score: float
    nearest: float | None = None
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
