"""How an agent's function says what a call has cost.

`report` adds to the meter of the call around it, and does nothing where there is none, so
that a function can be called on its own. Must never know who reads the meter.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Final, Self


class Meter:
    """What one call has reported so far: US dollars, tokens in and out; and whether it has at all.

    It collects what is reported within it; the context may be copied into another thread.
    """

    __slots__ = ("_outer", "reported", "tokens_in", "tokens_out", "usd")

    def __init__(self) -> None:
        self.reported = False
        self.usd = 0.0
        self.tokens_in = 0
        self.tokens_out = 0

    def __enter__(self) -> Self:
        self._outer: Token[Meter | None] = _METER.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _METER.reset(self._outer)


_METER: Final[ContextVar[Meter | None]] = ContextVar("meter", default=None)


def report(*, usd: float = 0.0, tokens_in: int = 0, tokens_out: int = 0) -> None:
    """Add to what the running call has cost; several reports add up.

    A call that reports nothing is taken to have cost what its agent declares.
    """
    meter = _METER.get()
    if meter is not None:
        meter.reported = True
        meter.usd += usd
        meter.tokens_in += tokens_in
        meter.tokens_out += tokens_out
