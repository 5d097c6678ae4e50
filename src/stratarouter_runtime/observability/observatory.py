"""All that observes one application, put together: figures, lines, traces, and the state of its parts.

Must never know: any part; `wiring` introduces them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.observability.figures import Counters
from stratarouter_runtime.observability.health import Health
from stratarouter_runtime.observability.lines import Lines
from stratarouter_runtime.observability.logs import Handed, Log
from stratarouter_runtime.observability.metrics import Metrics
from stratarouter_runtime.observability.process import Loop
from stratarouter_runtime.observability.telemetry import Telemetry
from stratarouter_runtime.observability.tracing import Tracing

if TYPE_CHECKING:
    from stratarouter_runtime.observability.spans import Describe
    from stratarouter_runtime.observability.telemetry import PlanAtHand
    from stratarouter_runtime.observability.tracing import Sender
    from stratarouter_runtime.ports import Journal


class Observatory:
    """Hears of facts through `telemetry`, and answers through `metrics` and `health`."""

    def __init__(self, journal: Journal, at_hand: PlanAtHand) -> None:
        self._journal = journal
        self._at_hand = at_hand
        self._closing: list[Lines | Tracing] = []
        counters = Counters()
        self.telemetry = Telemetry(counters, at_hand)
        self.metrics = Metrics()
        self.health = Health()
        self.loop = Loop()
        self.log: Log = Handed()
        self.metrics.add("facts", counters.stats)
        self.metrics.add("loop", self.loop.stats)

    def write_lines(self, log: Log, *, steps: bool) -> None:
        """Write a line for every execution that ends, and with `steps` for every call."""
        lines = Lines(log, self._journal)
        self.log = log
        self.telemetry.when_ended(lines.ended)
        if steps:
            self.telemetry.for_steps(lines.step)
        self._closing.append(lines)

    def send_traces(self, sender: Sender, describe: Describe) -> None:
        """Send a trace of every execution that ends and is recorded."""
        tracing = Tracing(self._journal, self._at_hand, describe, sender)
        self.telemetry.when_ended(tracing.hear)
        self.metrics.add("traces", tracing.stats)
        self._closing.append(tracing)

    async def close(self) -> None:
        """Tell what waits to be told."""
        for part in self._closing:
            await part.close()
