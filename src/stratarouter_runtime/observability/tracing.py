"""Traces of executions, made from their journals when they have ended.

Whether one is recorded was decided once, at its start, and stands in its journal. Must never
know: how spans are sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from stratarouter_runtime.observability.endings import Endings
from stratarouter_runtime.observability.spans import build
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.observability.spans import Describe, Span
    from stratarouter_runtime.observability.telemetry import Ended, PlanAtHand
    from stratarouter_runtime.ports import Journal

_WHOLE: Final = 1 << 56
"""As many traces as the last 14 hex digits of their ids tell apart."""


class Sampler:
    """Records a share (0 to 1) of the traces, by their ids alone, so that all who take part decide alike."""

    def __init__(self, share: float) -> None:
        self._bound = round(share * _WHOLE)

    def __call__(self, trace: str) -> bool:
        """Whether this trace is recorded."""
        return int(trace[-14:], 16) < self._bound


class Sender(Protocol):
    """Where spans go."""

    def send(self, trace: str, spans: Sequence[Span]) -> None:
        """Hand spans of one trace on; returns at once."""
        ...


class TraceStats(Struct, frozen=True):
    """Executions that ended, by what became of their trace."""

    traces: Mapping[str, int]


class Tracing:
    """Hears of ends; reads the journals of those that are recorded, and sends their spans."""

    def __init__(self, journal: Journal, at_hand: PlanAtHand, describe: Describe, sender: Sender) -> None:
        self._journal = journal
        self._at_hand = at_hand
        self._describe = describe
        self._sender = sender
        self._endings = Endings(self._tell)

    def hear(self, ended: Ended) -> None:
        """An execution has ended."""
        if ended.started is None or ended.started.sampled:
            self._endings.hear(ended)

    def stats(self) -> TraceStats:
        """What became of them so far."""
        return TraceStats(dict(self._endings.outcomes))

    async def close(self) -> None:
        """Tell what waits."""
        await self._endings.close()

    async def _tell(self, ended: Ended) -> str:
        execution = ended.execution
        records = await self._journal.read(execution.id)
        events = [decode(record.body) for record in records]
        plan, started = self._at_hand(execution.plan), events[0]
        if not isinstance(started, Started) or not started.sampled:
            return "unsampled"
        if plan is None:
            return "dropped"
        self._sender.send(started.trace, build(execution, records, events, plan, self._describe))
        return "sent"
