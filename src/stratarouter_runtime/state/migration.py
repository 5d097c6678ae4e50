"""An execution that goes on with another plan: allowed where all it has done so far stays the same.

Its whole journal is told again on the new plan. The same steps must have been reached with
the same inputs, and the same decisions must have been taken; then nothing that happened is
any different, and only what is yet to come is. Must never know: where plans come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.errors import InvalidState, JournalMismatch
from stratarouter_runtime.state.events import Finished, Migrated
from stratarouter_runtime.state.replay import replay, retold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.state.events import Event, Record
    from stratarouter_runtime.state.ledger import Ledger
    from stratarouter_runtime.state.run import Run
    from stratarouter_runtime.tcfp.plan import Plan


class Migration(Struct, frozen=True):
    """What is to be journaled; the run on the new plan from there on, and where its journal then stands."""

    records: tuple[Record, ...]
    events: tuple[Event, ...]
    run: Run
    ledger: Ledger


def migrate(
    target: Plan, plan: Plan, records: Sequence[Record], others: Mapping[Digest, Plan], at: int, by: str = ""
) -> Migration:
    """Go on with `target` where the journal of `plan` ends; `others` as for `replay`.

    Raises `InvalidState` that names the first record that does not follow from `target`, and
    `JournalMismatch` where the journal does not even follow from its own plan.
    """
    replayed = replay(plan, records, others)
    if replayed.run.finished is not None:
        raise InvalidState("an execution that has finished goes on with no plan", hint="fork it instead")
    if plan.digest == target.digest:
        raise InvalidState("the execution runs this plan already")
    try:
        there = retold(target, records)
    except JournalMismatch as found:
        raise InvalidState(
            f"the execution cannot go on with plan {target.digest[:12]}…: {found.message}",
            hint="let it finish on its own plan, or fork it; what it has done must be the same on both",
        ) from found
    events = (Migrated(target.digest, by), *there.due)
    written = tuple(replayed.ledger.write(event, at) for event in events)
    assert not any(isinstance(event, Finished) for event in events[:-1])
    return Migration(written, events, there.run, replayed.ledger)
