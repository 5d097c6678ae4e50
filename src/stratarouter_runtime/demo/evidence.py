"""What the demonstration leaves behind, counted from the store and from the notes of the agents.

Nothing here trusts the worker: executions are read from their journals, calls from the
notebook. Must never know: how either was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.demo.counting import read_notes
from stratarouter_runtime.demo.inbox import Message
from stratarouter_runtime.demo.worker import Work
from stratarouter_runtime.executor.calls import idempotency_key
from stratarouter_runtime.ids import Digest, ExecutionId
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.services.history import Journaled
from stratarouter_runtime.settings import load
from stratarouter_runtime.state.events import Chosen, Returned
from stratarouter_runtime.tally import quantile
from stratarouter_runtime.wiring import Application, application

ALL = 1_000_000


class Evidence(Struct, frozen=True):
    """The outcome. Times are in milliseconds, `seconds` is all of it, set-up of workers included.

    `accepted` were acknowledged to have started; `lost` are those of them that did not
    finish. `repeated` steps ran twice because a worker was killed while they were in flight;
    `repeated_recorded` were recorded before the kill and ran again all the same: a broken
    promise. `routed` have a known route; `routed_right` took it.
    """

    messages: int
    accepted: int
    completed: int
    failed: int
    lost: int
    steps: int
    repeated: int
    repeated_recorded: int
    routed: int
    routed_right: int
    p50_ms: float
    p99_ms: float
    usd: float
    replays: int
    reproducible: int
    divergences: tuple[str, ...]
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether every promise was kept."""
        return (
            self.lost == 0
            and self.repeated_recorded == 0
            and self.completed == self.messages
            and self.reproducible == self.replays == self.messages
        )


async def recorded_steps(store: Path) -> set[Digest]:
    """The keys of all steps whose results are in the store now."""
    async with application(load(), Registry(), store=store, readonly=True) as app:
        keys: set[Digest] = set()
        for row in await app.store.search(limit=ALL):
            keys |= _keys(await app.runtime.history.journal(row.id))
        return keys


def _keys(journaled: Journaled) -> set[Digest]:
    answered = [event for event in journaled.events if isinstance(event, Returned)]
    return {idempotency_key(journaled.execution.id, event.step) for event in answered}


async def gather(
    work: Work,
    messages: Sequence[Message],
    accepted: Mapping[str, str],
    before: set[Digest],
    seconds: float,
) -> Evidence:
    """Count everything; `accepted` maps executions to messages, `before` was recorded at the kill."""
    async with application(load(), Registry(), store=work.store, readonly=True) as app:
        rows = {row.id: row for row in await app.store.search(limit=ALL)}
        proofs = [await app.runtime.history.replay(execution) for execution in rows]
        right = await _routed_right(app, messages, accepted)
    runs = Counter(note.key for note in read_notes(Path(work.notes)) if note.attempt == 1)
    repeated = {key for key, times in runs.items() if times > 1}
    times = [(row.updated - row.created) / 1_000 for row in rows.values()]
    statuses = Counter(row.status for row in rows.values())
    return Evidence(
        messages=len(messages),
        accepted=len(accepted),
        completed=statuses["completed"],
        failed=statuses["failed"],
        lost=sum(_unfinished(rows.get(ExecutionId(execution))) for execution in accepted),
        steps=runs.total(),
        repeated=len(repeated),
        repeated_recorded=len(repeated & before),
        routed=len(right),
        routed_right=sum(right),
        p50_ms=round(quantile(times, 0.5), 2),
        p99_ms=round(quantile(times, 0.99), 2),
        usd=round(sum(row.usage.usd for row in rows.values() if row.usage is not None), 6),
        replays=len(proofs),
        reproducible=sum(proof.reproducible for proof in proofs),
        divergences=tuple(proof.divergence for proof in proofs if not proof.reproducible)[:3],
        seconds=round(seconds, 2),
    )


def _unfinished(row: Execution | None) -> bool:
    return row is None or row.status not in {"completed", "failed", "cancelled", "timed_out"}


async def _routed_right(
    app: Application, messages: Sequence[Message], accepted: Mapping[str, str]
) -> list[bool]:
    """For each message whose expected route is an agent of the flow: was it taken?"""
    expected = {message.id: message.route for message in messages}
    right = []
    for row in await app.store.search(limit=ALL):
        message = accepted.get(row.id, "")
        journaled = await app.runtime.history.journal(row.id)
        plan = await app.runtime.flows.plan(journaled.execution.plan)
        if expected.get(message) in {agent.name for agent in plan.agents}:
            right.append(expected[message] in [e.agent for e in journaled.events if isinstance(e, Chosen)])
    return right
