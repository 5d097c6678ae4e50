"""What a worker died of, as a failure that flows can catch."""

from __future__ import annotations

import pytest

from stratarouter_runtime.sandbox.breaches import Reason, died
from stratarouter_runtime.tcfp.validation.kinds import AGENT


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0, "agent.unavailable"),
        (3 << 8, "agent.unavailable"),
        (121 << 8, "agent.unavailable"),
        (31, "sandbox"),
        (31 | 0x80, "sandbox"),
        (24, "limit.cpu"),
        (25, "limit.disk"),
        (9, "agent.unavailable"),
        (11 | 0x80, "agent.unavailable"),
    ],
)
def test_an_end_has_a_kind(status: int, kind: str) -> None:
    assert died(status, None).kind == kind


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("time", "limit.time"),
        ("cpu", "limit.cpu"),
        ("output", "limit.output"),
        ("memory", "limit.memory"),
        ("protocol", "agent.unavailable"),
        ("withdrawn", "agent.unavailable"),
    ],
)
def test_what_we_ended_it_for_counts_more_than_how_it_died(reason: Reason, kind: str) -> None:
    failure = died(9, reason)
    assert failure.kind == kind
    assert failure.kind in AGENT
    assert failure.message
