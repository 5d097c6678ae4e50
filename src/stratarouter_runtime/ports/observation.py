"""Those who hear of facts.

Times are microseconds since the epoch (UTC). Must never know: an implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ports.journals import Execution
    from stratarouter_runtime.state.events import Record


class Observer(Protocol):
    """Hears of facts; cannot answer, cannot fail a run, does not see payloads it need not."""

    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        """These facts of this execution are durable now; none where only its status is another."""
        ...


Source: TypeAlias = "Callable[[], Struct | None]"
"""The statistics of a part as they stand now: a frozen record, read whenever somebody asks.

Its fields are numbers, `tally.Distribution`s, or maps to either from a label (or a tuple of labels).
It is called on the loop, must not wait, and never raises. None where the part is not at work yet.
"""
