"""What goes through the HTTP edge, counted: requests by route and class of status, and how long they took.

Must never know: any route.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from stratarouter_runtime.tally import Distribution, Histogram

ROUTE: Final = "strata.route"
"""The key of the scope under which whoever answers leaves the template of its path."""

NOWHERE: Final = "(none)"
"""The route of a request that nobody answers, or that is refused before it gets to its handler."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")


class TrafficStats(Struct, frozen=True):
    """Requests answered by method, route and class of status; seconds by route; those under way."""

    requests: Mapping[tuple[str, str, str], int]
    seconds: Mapping[str, Distribution]
    active: int


class Traffic:
    """The counters."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._seconds: dict[str, Histogram] = {}
        self.active = 0

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        known = method if method in METHODS else "(other)"
        self._requests[known, route, CLASSES[status // 100 - 1]] += 1
        histogram = self._seconds.get(route)
        if histogram is None:
            histogram = self._seconds.setdefault(route, Histogram())
        histogram.observe(seconds)

    def stats(self) -> TrafficStats:
        """The figures as they stand."""
        seconds = {route: each.snapshot() for route, each in self._seconds.items()}
        return TrafficStats(dict(self._requests), seconds, self.active)
