"""The agents of the benchmarks: ordinary decorated functions that do next to nothing, every time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypedDict

from stratarouter_runtime.builder import agent


class Number(TypedDict):
    """A number."""

    n: int


@agent(effect="pure", stable=True, cache="never")
async def increment(n: int) -> Number:
    """One more."""
    return {"n": n + 1}


@agent(effect="pure", cache="never")
async def linger(n: int) -> Number:
    """One more, but never while the file `hold` is in the working directory."""
    if Path("hold").exists():  # noqa: ASYNC240 - the quickest look there is
        await asyncio.Event().wait()
    return {"n": n + 1}
