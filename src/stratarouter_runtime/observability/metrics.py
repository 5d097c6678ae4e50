"""The statistics of all parts, gathered when somebody scrapes.

What is scraped is good for a second, however many ask. Must never know: a part.
"""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.observability.exposition import lines
from stratarouter_runtime.observability.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from msgspec import Struct

    from stratarouter_runtime.observability.table import Metric
    from stratarouter_runtime.ports import Source

GOOD_FOR: Final = 1.0
"""Seconds."""

PIECE: Final = 16_384
"""Characters after which others get their turn."""


class Metrics:
    """Sources by name. Belongs to one event loop."""

    def __init__(self, table: Sequence[Metric] = METRICS) -> None:
        self._table = table
        self._sources: dict[str, Source] = {}
        self._told = b""
        self._told_at = float("-inf")
        self._scraping: asyncio.Task[bytes] | None = None

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
        now = asyncio.get_running_loop().time()
        if now - self._told_at < GOOD_FOR:
            return self._told
        if self._scraping is None:
            self._scraping = asyncio.create_task(self._scrape())
        # One who gives up does not stop the scrape that others wait for.
        return await asyncio.shield(self._scraping)

    async def _scrape(self) -> bytes:
        try:
            self._told = await self._render()
            self._told_at = asyncio.get_running_loop().time()
            return self._told
        finally:
            self._scraping = None

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
