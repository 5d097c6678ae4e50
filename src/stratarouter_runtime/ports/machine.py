"""What cannot be foreseen: what time it is, and what is drawn.

Times are microseconds since the epoch (UTC). Must never know: an implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stratarouter_runtime.ids import ExecutionId


class Clock(Protocol):
    """What time it is."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        ...


class Entropy(Protocol):
    """What cannot be foreseen."""

    def execution_id(self) -> ExecutionId:
        """A new id."""
        ...

    def seed(self) -> str:
        """A new seed: 32 hex digits."""
        ...
