"""What is counted of reuse, by flow or agent: plain numbers that metrics and people read.

Must never know: who reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from stratarouter_runtime.cache.policy import wrong_at_most

SPACES: Final = 1_000
"""Flows and agents counted each by themselves; those that come later are counted together, as `""`."""


class Counts(Struct, frozen=True):
    """What became of the questions to one space since the process began."""

    space: str
    exact: int = 0
    normalised: int = 0
    semantic: int = 0
    coalesced: int = 0
    misses: int = 0
    bypassed: int = 0
    kept: int = 0
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
        self._numbers: dict[tuple[str, str], Counter[str]] = {}
        self._refused: dict[tuple[str, str], Counter[str]] = {}
        self._faults: dict[tuple[str, str], Counter[str]] = {}
        self._saved: dict[tuple[str, str], list[float]] = {}

    def count(self, tenant: str, space: str, what: str) -> None:
        """One more of `what`: a field of `Counts`."""
        self._numbers.setdefault(self._place(tenant, space), Counter())[what] += 1

    def refuse(self, tenant: str, space: str, gate: str) -> None:
        """A gate refused."""
        self._refused.setdefault(self._place(tenant, space), Counter())[gate] += 1

    def fault(self, tenant: str, space: str, what: str) -> None:
        """Something went wrong, and was survived."""
        self._faults.setdefault(self._place(tenant, space), Counter())[what] += 1

    def save(self, tenant: str, space: str, usd: float, tokens: int, ms: float) -> None:
        """An answer was reused that had cost this."""
        saved = self._saved.setdefault(self._place(tenant, space), [0.0, 0.0, 0.0])
        for index, amount in enumerate((usd, tokens, ms)):
            saved[index] += amount

    def hits(self, tenant: str, space: str) -> int:
        """Answers of a space that were found and reused; of one counted with others, those of all of them."""
        numbers = self._numbers.get(self._place(tenant, space), Counter())
        return sum(numbers.get(kind, 0) for kind in ("exact", "normalised", "semantic"))

    def counts(self, tenant: str | None = None) -> list[Counts]:
        """Everything counted so far for a tenant, or for all together, by space."""
        places = {*self._numbers, *self._refused, *self._faults}
        spaces = sorted({space for who, space in places if tenant in (None, who)})
        return [
            self._counts([(who, each) for who, each in places if each == space and tenant in (None, who)])
            for space in spaces
        ]

    def stats(self) -> Totals:
        """Everything together: for metrics, which know no tenant."""
        usd, tokens, ms = (
            (sum(each) for each in zip(*self._saved.values(), strict=True)) if self._saved else _NONE
        )
        return Totals(
            outcomes=_sum(self._numbers.values()),
            refused=_sum(self._refused.values()),
            faults=_sum(self._faults.values()),
            saved_usd=usd,
            saved_tokens=int(tokens),
            saved_seconds=ms / 1_000,
        )

    def _counts(self, places: list[tuple[str, str]]) -> Counts:
        numbers: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        faults: Counter[str] = Counter()
        saved = [0.0, 0.0, 0.0]
        for place in sorted(places):
            numbers += self._numbers.get(place, Counter())
            refused += self._refused.get(place, Counter())
            faults += self._faults.get(place, Counter())
            saved = [
                sum(pair) for pair in zip(saved, self._saved.get(place, saved[:0] or [0.0] * 3), strict=True)
            ]
        return Counts(
            space=places[0][1],
            **{name: numbers[name] for name in _NUMBERS},
            refused=dict(sorted(refused.items())),
            faults=dict(sorted(faults.items())),
            saved_usd=saved[0],
            saved_tokens=int(saved[1]),
            saved_ms=saved[2],
            wrong_at_most=wrong_at_most(numbers["compared"], numbers["differing"]),
        )

    def _place(self, tenant: str, space: str) -> tuple[str, str]:
        place = (tenant, space)
        known = place in self._numbers or len(self._numbers) < SPACES
        return place if known else (tenant, "")


_NONE: Final = (0.0, 0.0, 0.0)


def _sum(counters: Iterable[Counter[str]]) -> dict[str, int]:
    together: Counter[str] = Counter()
    for counter in counters:
        together.update(counter)
    return dict(together)


_NUMBERS: Final = (
    *("exact", "normalised", "semantic", "coalesced", "misses", "bypassed", "kept"),
    *("wrong", "compared", "differing"),
)
