"""What answers rest on is known of those executions only of which everything was heard."""

from __future__ import annotations

import pytest
from tests.conformance.backends import name, records, row

from stratarouter_runtime.ids import LOCAL, Digest, StepPath
from stratarouter_runtime.observability.ends import Ends
from stratarouter_runtime.state.events import Event, Failed, Failure, Finished, Returned, Started
from stratarouter_runtime.state.provenance import Provenance

BRIEF = Digest("b" * 64)
STARTED = Started("exec_1", Digest("p" * 64), {}, "0", LOCAL)
FAILED = Failed(StepPath("0"), BRIEF, Failure("agent.refused"), 1)
RETURNED = Returned(StepPath("1"), BRIEF, {}, 1)
FINISHED = Finished("completed")


def heard(*parts: tuple[int, Event]) -> Provenance | None:
    """What is known once these facts were told, each apart, by its number."""
    ends = Ends()
    for seq, event in parts:
        ends.recorded(row(1), records(seq), [event])
    return ends.of(name(1))


@pytest.mark.parametrize(
    ("parts", "known"),
    [
        ([(0, STARTED), (1, RETURNED), (2, FINISHED)], Provenance()),
        ([(0, STARTED), (1, FAILED), (2, RETURNED), (3, FINISHED)], Provenance(whole=False)),
        ([(0, STARTED), (2, RETURNED), (3, FINISHED)], None),
        ([(0, STARTED), (1, RETURNED), (3, FINISHED)], None),
        ([(4, RETURNED), (5, FINISHED)], None),
        ([(0, STARTED), (1, RETURNED)], None),
    ],
)
def test_of_what_others_have_recorded_meanwhile_nothing_is_known(
    parts: list[tuple[int, Event]], known: Provenance | None
) -> None:
    assert heard(*parts) == known
