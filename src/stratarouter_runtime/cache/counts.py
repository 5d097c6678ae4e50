"""What is counted of reuse, by flow or agent: plain numbers that metrics and people read.

Must never know: who reads them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from stratarouter_runtime.cache.policy import wrong_at_most

SPACES: Final = 1_000
"""Flows and agents counted each by themselves; those that come later are counted together, as `""`."""


_Place: TypeAlias = tuple[str, str]
_Table: TypeAlias = "defaultdict[_Place, Counter[str]]"


class Counts(Struct, frozen=True):
    """What became of the questions to one space since the process began."""

    space: str
    exact: int = 0
    normalised: int = 0
    semantic: int = 0
    coalesced: int = 0
    misses: int = 0
    kept: int = 0
    bypassed: dict[str, int] = {}
    """By reason: how often nothing was looked up."""
    refused: dict[str, int] = {}
    """By gate: how often it stood between a question and an answer that was near."""
    faults: dict[str, int] = {}
    """Entries that were damaged, encoders that failed, writes that were lost."""
    saved_usd: float = 0.0
    saved_tokens: int = 0
    saved_ms: float = 0.0
    wrong: int = 0
    compared: int = 0
    differing: int = 0
    wrong_at_most: float | None = None
    """With 95 % confidence, by the shadow sample; None without one."""


class Totals(Struct, frozen=True):
    """What became of all questions: by outcome, by the gate that refused, by fault; and what was saved."""

    outcomes: dict[str, int]
    refused: dict[str, int]
    faults: dict[str, int]
    saved_usd: float
    saved_tokens: int
    saved_seconds: float


class Ledger:
    """Counts up."""

    def __init__(self) -> None:
        self._numbers: _Table = defaultdict(Counter)
        self._refused: _Table = defaultdict(Counter)
        self._faults: _Table = defaultdict(Counter)
        self._bypassed: _Table = defaultdict(Counter)
        self._saved: dict[_Place, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])

    def count(self, tenant: str, space: str, what: str) -> None:
        """One more of `what`: a field of `Counts`."""
        self._numbers[_place(self._numbers, tenant, space)][what] += 1

    def refuse(self, tenant: str, space: str, gate: str) -> None:
        """A gate refused."""
        self._refused[_place(self._refused, tenant, space)][gate] += 1

    def fault(self, tenant: str, space: str, what: str) -> None:
        """Something went wrong, and was survived."""
        self._faults[_place(self._faults, tenant, space)][what] += 1

    def bypass(self, tenant: str, space: str, why: str) -> None:
        """Nothing was looked up."""
        self._bypassed[_place(self._bypassed, tenant, space)][why] += 1

    def save(self, tenant: str, space: str, usd: float, tokens: int, ms: float) -> None:
        """An answer was reused that had cost this."""
        saved = self._saved[_place(self._saved, tenant, space)]
        saved[0] += usd
        saved[1] += tokens
        saved[2] += ms

    def hits(self, tenant: str, space: str) -> int:
        """Answers of a space that were found and reused; of one counted with others, those of all of them."""
        numbers = self._numbers.get(_place(self._numbers, tenant, space), Counter())
        return sum(numbers.get(kind, 0) for kind in ("exact", "normalised", "semantic"))

    def counts(self, tenant: str | None = None) -> list[Counts]:
        """Everything counted so far for a tenant, or for all together, by space."""
        places = {*self._numbers, *self._refused, *self._faults, *self._bypassed}
        spaces = sorted({space for who, space in places if tenant in (None, who)})
        return [
            self._counts([(who, each) for who, each in places if each == space and tenant in (None, who)])
            for space in spaces
        ]

    def stats(self) -> Totals:
        """Everything together: for metrics, which know no tenant."""
        usd, tokens, ms = map(sum, zip(*self._saved.values(), strict=True)) if self._saved else _NONE
        outcomes = _sum(self._numbers.values())
        bypassed = sum(_sum(self._bypassed.values()).values())
        return Totals(
            outcomes=outcomes | {"bypassed": bypassed} if bypassed else outcomes,
            refused=_sum(self._refused.values()),
            faults=_sum(self._faults.values()),
            saved_usd=usd,
            saved_tokens=int(tokens),
            saved_seconds=ms / 1_000,
        )

    def _counts(self, places: list[_Place]) -> Counts:
        numbers = _of(self._numbers, places)
        saved = [self._saved[place] for place in sorted(places) if place in self._saved]
        usd, tokens, ms = map(sum, zip(*saved, strict=True)) if saved else _NONE
        return Counts(
            space=places[0][1],
            **{name: numbers.get(name, 0) for name in _NUMBERS},
            bypassed=_of(self._bypassed, places),
            refused=_of(self._refused, places),
            faults=_of(self._faults, places),
            saved_usd=usd,
            saved_tokens=int(tokens),
            saved_ms=ms,
            wrong_at_most=wrong_at_most(numbers.get("compared", 0), numbers.get("differing", 0)),
        )


_NONE: Final = (0.0, 0.0, 0.0)


def _place(table: Mapping[_Place, object], tenant: str, space: str) -> _Place:
    place = (tenant, space)
    return place if place in table or len(table) < SPACES else (tenant, "")


def _of(table: _Table, places: Iterable[_Place]) -> dict[str, int]:
    return dict(sorted(_sum(table[place] for place in places if place in table).items()))


def _sum(counters: Iterable[Counter[str]]) -> dict[str, int]:
    together: Counter[str] = Counter()
    for counter in counters:
        together.update(counter)
    return dict(together)


_NUMBERS: Final = (
    *("exact", "normalised", "semantic", "coalesced", "misses", "kept"),
    *("wrong", "compared", "differing"),
)
