"""What the routes of an execution were asked: derived again from its journal, where it is not written.

Must never know: where records come from, or who wants to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.errors import JournalMismatch
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.commands import ScoreRoutes
from stratarouter_runtime.state.decide import accept, begin, decide
from stratarouter_runtime.state.events import Asked, Chosen, Dispatched, Finished, Migrated, Scored, Started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import StepPath
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.tcfp.plan import Plan


class Routed(Struct, frozen=True):
    """A decision of a route that was not the flow's own: what was asked, and who was chosen."""

    step: StepPath
    query: str
    agent: str


def routed(plan: Plan, records: Sequence[Record]) -> list[Routed]:
    """In the order they were taken; `plan` is the one it runs, by now.

    What it was migrated to, all that came before follows from too. Raises as a replay for records that do
    not belong to the plan.
    """
    started = decode(records[0].body)
    assert isinstance(started, Started)
    run = begin(plan, started, records[0].at)
    queries: dict[StepPath, str] = {}
    found: list[Routed] = []
    _note(queries, decide(run))
    compared: set[StepPath] = set()
    for record in records[1:]:
        event = decode(record.body)
        if isinstance(event, Chosen):
            if event.step in compared:
                found.append(Routed(event.step, queries[event.step], event.agent))
            continue
        if isinstance(event, Dispatched | Asked | Finished | Migrated):
            continue
        if isinstance(event, Scored):
            compared.add(event.step)
        reason = accept(run, event, record.at)
        if reason is not None:
            raise JournalMismatch(f"record {record.seq} does not follow from the plan: {reason}")
        _note(queries, decide(run))
    return found


def _note(queries: dict[StepPath, str], commands: Sequence[Command]) -> None:
    queries.update((command.step, command.query) for command in commands if isinstance(command, ScoreRoutes))
