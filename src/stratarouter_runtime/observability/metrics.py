"""The statistics of all parts, gathered when somebody scrapes.

What is scraped is good for a second, however many ask. Must never know: a part.
"""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.observability.exposition import lines
from stratarouter_runtime.observability.lately import Lately
from stratarouter_runtime.observability.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from msgspec import Struct

    from stratarouter_runtime.observability.table import Metric
    from stratarouter_runtime.ports import Source

PIECE: Final = 16_384
"""Characters after which others get their turn."""


class Metrics:
    """Sources by name. Belongs to one event loop."""

    def __init__(self, table: Sequence[Metric] = METRICS) -> None:
        self._table = table
        self._sources: dict[str, Source] = {}
        self._told = Lately(self._render)

    def add(self, name: str, source: Source) -> None:
        """Ask this part too; one added under the same name takes its place."""
        self._sources[name] = source

    @property
    def names(self) -> frozenset[str]:
        """The sources there are."""
        return frozenset(self._sources)

    def snapshot(self) -> Mapping[str, Struct]:
        """What every source says now that is at work."""
        said = {name: source() for name, source in self._sources.items()}
        return {name: stats for name, stats in said.items() if stats is not None}

    async def scrape(self) -> bytes:
        """The figures as Prometheus reads them, at most a second old."""
        return await self._told.get()

    async def _render(self) -> bytes:
        pieces: list[str] = []
        length = 0
        said: dict[str, Struct | None] = {}
        for metric in self._table:
            source = self._sources.get(metric.source)
            if source is None:
                continue
            if metric.source not in said:
                said[metric.source] = source()
            stats = said[metric.source]
            if stats is None:
                continue
            for piece in lines(metric, attrgetter(metric.field)(stats)):
                pieces.append(piece)
                length += len(piece)
                if length > PIECE:
                    length = 0
                    await asyncio.sleep(0)
        return "".join(pieces).encode()
