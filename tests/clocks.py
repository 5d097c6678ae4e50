"""A clock for tests that do without a simulated loop."""

from __future__ import annotations

from typing_extensions import override

from stratarouter_runtime.ports import Clock


class Hand(Clock):
    """Time that stands until it is moved by hand, in microseconds."""

    def __init__(self, at: int = 0) -> None:
        self.at = at

    @override
    def now(self) -> int:
        return self.at

    def pass_(self, seconds: float) -> None:
        """Let time go by."""
        self.at += int(seconds * 1_000_000)
