from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, none

from stratarouter_runtime.batch.window import closes, due
from stratarouter_runtime.tcfp.ir import Batch

BATCH = Batch(3, 1_000)


@pytest.mark.parametrize(
    ("left", "until"),
    [(None, 1_500), (100_000, 1_500), (10_000, 1_500), (9_000, 1_400), (5, 500), (0, 500), (-7, 500)],
)
def test_a_call_waits_for_others_a_tenth_of_its_time_at_most(left: int | None, until: int) -> None:
    assert due(BATCH, 500, left) == until


@pytest.mark.parametrize(
    ("dues", "now", "left"),
    [
        ([], 0, None),
        ([1_000], 0, 1_000),
        ([1_000, 400], 100, 300),
        ([1_000, 400], 400, 0),
        ([1_000, 400], 9_999, 0),
        ([1_000, 1_000, 1_000], 0, 0),
    ],
)
def test_a_group_closes_when_full_or_when_its_first_has_waited(
    dues: list[int], now: int, left: int | None
) -> None:
    assert closes(BATCH, dues, now) == left


@given(lists(none() | integers(-10, 10**9), min_size=1, max_size=9), integers(0, 10**9))
def test_nobody_waits_longer_than_the_batch_says(lefts: list[int | None], now: int) -> None:
    left = closes(BATCH, [due(BATCH, now, each) for each in lefts], now)
    assert left is not None
    assert 0 <= left <= BATCH.wait
