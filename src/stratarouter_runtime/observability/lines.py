"""Lines about executions: one when an execution ends, and at the level `debug` one a call.

Must never know: payloads; of a failure only its kind is told, since a message may repeat a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stratarouter_runtime.observability.endings import Endings
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Answered, Returned, Started

if TYPE_CHECKING:
    from stratarouter_runtime.observability.logs import Log
    from stratarouter_runtime.observability.telemetry import Ended, Step
    from stratarouter_runtime.ports import Journal


class Lines:
    """Writes lines to a log; what was not heard from its start is looked up in the journal."""

    def __init__(self, log: Log, journal: Journal) -> None:
        self._log = log
        self._journal = journal
        self._endings = Endings(self._look_up)

    def ended(self, ended: Ended) -> None:
        """An execution has ended."""
        if ended.started is None:
            self._endings.hear(ended)
        else:
            self._write(ended, ended.started)

    def step(self, step: Step) -> None:
        """A call has come to its end."""
        self._log.debug(
            "call ended",
            execution=step.execution,
            step=step.step,
            agent=step.agent,
            attempt=step.attempt,
            ms=round(step.ms, 3),
            failure=step.failure or None,
        )

    async def close(self) -> None:
        """Write what waits."""
        await self._endings.close()

    async def _look_up(self, ended: Ended) -> str:
        events = [decode(record.body) for record in await self._journal.read(ended.execution.id)]
        assert isinstance(events[0], Started)
        steps = sum(isinstance(event, Returned | Answered) for event in events)
        self._write(replace(ended, steps=steps), events[0])
        return "written"

    def _write(self, ended: Ended, started: Started) -> None:
        execution, finished = ended.execution, ended.finished
        usage, failure = finished.usage, finished.failure
        self._log.info(
            "execution ended",
            execution=execution.id,
            workflow=execution.flow,
            plan=execution.plan,
            tenant=execution.tenant,
            status=finished.status,
            ms=(ended.at - execution.created) / 1_000,
            steps=ended.steps,
            usd=usage.usd,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            trace=started.trace or None,
            failure=failure.kind if failure else None,
            step=failure.step if failure else None,
        )
