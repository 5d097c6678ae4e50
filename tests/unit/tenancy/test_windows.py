"""Windows: no minute, wherever it begins, holds one request too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.tenancy.windows import MINUTE, SECOND, slide, started_on, used

GAPS = st.lists(st.integers(min_value=-SECOND, max_value=20 * SECOND), max_size=60)


@given(GAPS, st.integers(min_value=0, max_value=6))
def test_no_minute_holds_more_than_the_limit(gaps: list[int], limit: int) -> None:
    window, now, latest, allowed = b"", 10**12, 10**12, []
    for gap in gaps:
        now += gap
        latest = max(latest, now)
        window, spent = slide(window, limit, now)
        if spent.allowed:
            allowed.append(latest)
        assert 0 <= spent.left <= limit
    for begin in allowed:
        assert sum(begin <= each < begin + MINUTE for each in allowed) <= limit


@given(GAPS)
def test_a_window_does_not_grow_for_ever(gaps: list[int]) -> None:
    window, now = b"", 10**12
    for gap in gaps:
        now += gap
        window, _ = slide(window, 1_000, now)
    assert len(window) < 61 * 24
    assert used(window, now + 2 * MINUTE) == 0


def test_room_comes_back_when_it_is_told() -> None:
    window, now = b"", 10**12
    for _ in range(3):
        window, spent = slide(window, 3, now)
    window, spent = slide(window, 3, now)
    assert not spent.allowed
    assert not slide(window, 3, now + spent.wait - 1)[1].allowed
    assert slide(window, 3, now + spent.wait)[1].allowed


def test_a_day_begins_anew_and_never_again() -> None:
    assert started_on(7, 5, 7) == (7, 5)
    assert started_on(7, 5, 8) == (8, 0)
    assert started_on(7, 5, 6) == (7, 5)
