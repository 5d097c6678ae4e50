"""What workers run behind walls: one module a kind of code, each with `load` and `start`.

Imported by name in the worker, never by the server. Must never know: which walls stand around.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias


class Ask(Protocol):
    """One call, as a worker hears of it; `time` is in seconds, and what is left of it."""

    @property
    def input(self) -> Any:
        """The projected input."""
        ...

    @property
    def seed(self) -> str:
        """The same for every attempt of one step of one execution."""
        ...

    @property
    def time(self) -> float:
        """Seconds until whoever asks gives up."""
        ...


Answer: TypeAlias = Callable[[Ask], Any]
"""Answers one call with a value of JSON; raises `AgentError`, or anything."""
