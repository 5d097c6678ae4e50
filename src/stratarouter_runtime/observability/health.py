"""The state of each part, asked for when somebody wants to know, and good for a second.

A part is checked by using it; nobody wears the disk out by asking. Must never know: what a part does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.errors import StrataError
from stratarouter_runtime.observability.lately import Lately

Check: TypeAlias = "Callable[[], Awaitable[str]]"
"""Uses the part; says in a few words how it is. Raises `StrataError` where it is not."""


class Part(Struct, frozen=True):
    """One part. `error` is why it is down; `ms` is how long looking at it took."""

    status: Literal["ok", "down"]
    detail: str = ""
    ms: float = 0.0
    error: StrataError | None = None


class Health:
    """The checks by the names of their parts. Belongs to one event loop."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._seen = Lately(self._look)

    def add(self, name: str, check: Check) -> None:
        """Look at this part too."""
        self._checks[name] = check

    async def look(self) -> Mapping[str, Part]:
        """The state of every part, at most a second old."""
        return await self._seen.get()

    async def _look(self) -> Mapping[str, Part]:
        checks = dict(self._checks)
        parts = await asyncio.gather(*(_look(check) for check in checks.values()))
        return dict(zip(checks, parts, strict=True))


async def _look(check: Check) -> Part:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        detail = await check()
    except StrataError as error:
        return Part("down", error.message, round((loop.time() - began) * 1_000, 3), error)
    return Part("ok", detail, round((loop.time() - began) * 1_000, 3))
