"""What is told of a run of strikes: no figure that nobody has seen."""

from __future__ import annotations

import pytest

from stratarouter_runtime.testing.killing.__main__ import told
from stratarouter_runtime.testing.killing.loop import Report


@pytest.mark.parametrize(
    ("starts", "times"),
    [
        ((), []),
        ((0.3,), ["from start to all taken up: p50 0.30 s, p99 0.30 s"]),
        ((2.0, 0.1, 0.3), ["from start to all taken up: p50 0.30 s, p99 2.00 s"]),
    ],
)
def test_times_are_told_of_servers_that_had_to_start_again(
    starts: tuple[float, ...], times: list[str]
) -> None:
    report = Report(7, 3, 1, 5, 40, 20, 6, 2, {"failed": 1, "completed": 4}, starts)
    assert told(report).splitlines() == [
        "seed 7: 3 times, 1 servers",
        "executions: 5 (4 completed, 1 failed); facts: 40; calls: 20",
        "acknowledged: 6; taken up again: 2",
        *times,
        "no promise was broken",
    ]
