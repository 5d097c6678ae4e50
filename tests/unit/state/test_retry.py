"""Which failures are tried again, and when."""

from __future__ import annotations

import pytest

from stratarouter_runtime.ids import StepPath
from stratarouter_runtime.state.retry import LONGEST, catches, retries, wait
from stratarouter_runtime.tcfp.ir import Retry

STEP = StepPath("0")


@pytest.mark.parametrize(
    ("kinds", "kind", "expected"),
    [
        (["agent"], "agent.refused", True),
        (["agent"], "agent", True),
        (["agent"], "agents", False),
        (["agent.refused"], "agent", False),
        (["timeout", "limit.usd"], "limit.usd", True),
        ([], "agent", False),
    ],
)
def test_a_kind_is_caught_by_itself_and_by_what_it_lies_below(
    kinds: list[str],
    kind: str,
    expected: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert catches(kinds, kind) is expected


def test_so_many_retries_follow_the_first_attempt() -> None:
    retry = Retry(max=2, wait=0)
    assert [retries(retry, "timeout", attempt) for attempt in (1, 2, 3)] == [True, True, False]
    assert not retries(None, "timeout", 1)
    assert not retries(retry, "expression", 1)


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_a_wait_lies_in_the_upper_half_of_what_is_written(attempt: int) -> None:
    full = 1_000_000 * 3 ** (attempt - 1)
    waits = {wait(Retry(max=9, wait=1_000_000, factor=3.0), str(seed), STEP, attempt) for seed in range(50)}
    assert full / 2 <= min(waits) < full * 0.6
    assert full * 0.9 < max(waits) <= full


def test_a_wait_depends_on_seed_path_and_attempt_and_on_nothing_else() -> None:
    retry = Retry(max=9, wait=1_000_000)
    first = wait(retry, "s", STEP, 1)
    assert wait(retry, "s", STEP, 1) == first
    others = {wait(retry, "t", STEP, 1), wait(retry, "s", StepPath("1"), 1), wait(retry, "s", STEP, 2)}
    assert len(others | {first}) == 4


@pytest.mark.parametrize("attempt", [40, 2_000])
def test_no_wait_is_longer_than_thirty_days_however_often_it_doubled(attempt: int) -> None:
    assert LONGEST / 2 <= wait(Retry(max=5_000, wait=1_000, factor=2.0), "s", STEP, attempt) <= LONGEST
    assert wait(Retry(max=5_000, wait=0, factor=2.0), "s", STEP, attempt) == 0
