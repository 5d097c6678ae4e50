"""What commands about tenants stand on: a store opened for looking after it, and tables.

Must never know: what is looked after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from stratarouter_runtime import settings
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.tcfp.durations import parse_duration
from stratarouter_runtime.wiring import Office, administration

T = TypeVar("T")

BY = "command line"
"""How the audit names whoever uses it."""


def attend(store: str | None, work: Callable[[Office], Awaitable[T]]) -> T:
    """Do `work` with the store of the settings, or another."""

    async def attending() -> T:
        async with administration(settings.load(), store=store) as office:
            return await work(office)

    return asyncio.run(attending())


def duration(text: str, option: str) -> int:
    """Microseconds of `90d` or `1h30m`. Raises `InvalidInput`."""
    found = parse_duration(text)
    if found is None:
        raise InvalidInput(f"{option} {text!r} is no duration", hint="such as 90d, 12h or 1h30m")
    return found


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as what stands in them."""
    lines = [titles, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(titles))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
