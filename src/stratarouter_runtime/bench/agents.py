"""The agent of the benchmarks: an ordinary decorated function that does next to nothing, every time."""

from __future__ import annotations

from typing import TypedDict

from stratarouter_runtime.builder import agent


class Number(TypedDict):
    """A number."""

    n: int


@agent(effect="pure", stable=True, cache="never")
async def increment(n: int) -> Number:
    """One more."""
    return {"n": n + 1}
