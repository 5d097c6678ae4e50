"""What must be true of answers that were not worked out anew: whose they are, and where they come from.

Judges by what agents were asked and said, by the journals, and by what clients were told. Must never
know: how answers are kept or found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from stratarouter_runtime.canonical import digest
from stratarouter_runtime.ids import ExecutionId, Tenant
from stratarouter_runtime.state.events import NO_USAGE, Event, Returned, brief
from stratarouter_runtime.testing.evidence import Reply, Violation
from stratarouter_runtime.testing.quotes import QUOTE, mark

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.testing.world import Called

Facts: TypeAlias = "Mapping[ExecutionId, tuple[Execution, list[Event]]]"
"""Every execution, with what its journal says."""


def check_reused(calls: Iterable[Called], facts: Facts, replies: Iterable[Reply]) -> None:
    """Raise `Violation` for the first answer that somebody should not have been given."""
    quotes = [called for called in calls if called.agent == QUOTE]
    made = defaultdict(list)
    for called in quotes:
        if called.answered is not None:
            made[called.call.execution].append(called)
    for row, events in facts.values():
        for event in events:
            if isinstance(event, Returned) and event.reused is not None:
                source = ExecutionId(event.reused.source)
                _check_source(row, event, facts.get(source), made[source])
    for reply in replies:
        _check_reply(reply, facts)


def check_shared(calls: Iterable[Called]) -> None:
    """Raise `Violation` where a process made a call while an equal one was under way, and not withdrawn."""
    latest: dict[tuple[int, Tenant, int], Called] = {}
    for called in sorted((each for each in calls if each.agent == QUOTE), key=lambda each: each.at):
        place = (called.process, called.call.tenant, called.call.input["n"])
        before = latest.get(place)
        if before is not None and not before.withdrawn and before.answered is None:
            raise Violation(f"{place} was asked for again while it was asked for")
        if before is not None and not before.withdrawn and (before.answered or 0) > called.at:
            raise Violation(f"{place} was asked for twice at a time")
        latest[place] = called


def _check_source(
    row: Execution, event: Returned, source: tuple[Execution, list[Event]] | None, made: Iterable[Called]
) -> None:
    """It was made for an execution of the same tenant, for the same input; and costs nothing a second time."""
    where = f"{row.flow} {row.id} reused an answer"
    assert event.reused is not None
    # Of what was called before its start was durable, and then never began, the answer is as good.
    if source is not None and source[0].tenant != row.tenant:
        raise Violation(f"{where} of tenant {source[0].tenant}, and belongs to {row.tenant}")
    if event.usage != NO_USAGE:
        raise Violation(f"{where}, and paid {event.usage} for it")
    if not any(_same(called, row.tenant, event) for called in made):
        raise Violation(f"{where} to what {event.reused.source} did not ask: {event.output}")


def _same(called: Called, tenant: Tenant, event: Returned) -> bool:
    call = called.call
    said = {"n": call.input["n"] + 1 + mark(tenant)}
    return call.tenant == tenant and brief(digest(call.input)) == event.input and said == event.output


def _check_reply(reply: Reply, facts: Facts) -> None:
    """An answer is that of an execution of the same tenant which has completed, and one that it may be."""
    row = reply.row
    if row.status != "completed":
        if row.status in {"cancelled", "timed_out"} and not reply.limited:
            raise Violation(f"a client was given the end of {row.id}, which another had no time for")
        return
    found = facts.get(row.id)
    if found is None:
        raise Violation(f"a client was given the answer of {row.id}, which is lost")
    output = _plain(row.output)
    if found[0].tenant != reply.tenant or (found[0].status, found[0].output) != ("completed", output):
        raise Violation(f"{reply.tenant} was given {output} of {found[0]}")
    if output["n"] not in reply.told.outputs(reply.n, reply.tenant):
        raise Violation(f"{reply.tenant} was given {output} for {reply.n} of {reply.told.name}")


def _plain(output: Any) -> Any:
    return msgspec.json.decode(output) if isinstance(output, msgspec.Raw) else output
