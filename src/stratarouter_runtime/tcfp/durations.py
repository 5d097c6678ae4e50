"""Durations as flows write them (`200ms`, `60s`, `1h30m`) and as the runtime counts them: microseconds.

Must never know where a duration stands, or what waits for it.
"""

from __future__ import annotations

import re
from typing import Final

UNITS: Final[dict[str, int]] = {
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
"""Microseconds of each unit, the largest first."""

MAX_DURATION: Final = 10_000 * UNITS["d"]

_PARTS: Final = re.compile("".join(rf"(?:(\d{{1,18}}){unit})?" for unit in UNITS), re.ASCII)


def parse_duration(text: str) -> int | None:
    """The microseconds of `1h30m`; None if it is no duration, or above `MAX_DURATION`.

    Whole numbers with a unit each, larger units first, every unit at most once.
    """
    found = _PARTS.fullmatch(text)
    if found is None or not text:
        return None
    total = sum(int(count or 0) * size for count, size in zip(found.groups(), UNITS.values(), strict=True))
    return total if total <= MAX_DURATION else None


def format_duration(microseconds: int) -> str:
    """The shortest text that `parse_duration` reads back: one unit if that is exact, else several."""
    if microseconds == 0:
        return "0s"
    units = [unit for unit in UNITS.items() if unit[1] <= microseconds]
    texts = ["".join(_spell(microseconds, units[start:])) for start in range(len(units))]
    return min(texts, key=len)


def _spell(microseconds: int, units: list[tuple[str, int]]) -> list[str]:
    parts: list[str] = []
    for unit, size in units:
        count, microseconds = divmod(microseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return parts
