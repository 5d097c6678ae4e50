from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.routing.choose import Choice, choose

SCORES = st.lists(st.floats(-1, 1), min_size=1, max_size=8)


def names_of(scores: list[float]) -> list[str]:
    return [f"a{index}" for index in range(len(scores))]


@pytest.mark.parametrize(
    ("scores", "minimum", "expected"),
    [
        pytest.param([0.2, 0.9, 0.5], 0.0, Choice(1, "a1", 0.9, "a2", 0.4), id="highest-wins"),
        pytest.param([0.5, 0.5], 0.0, Choice(0, "a0", 0.5, "a1", 0.0), id="tie-by-written-order"),
        pytest.param([0.5, 0.5000004], 0.0, Choice(0, "a0", 0.5, "a1", 0.0), id="tie-after-rounding"),
        pytest.param([0.5, 0.5000006], 0.0, Choice(1, "a1", 0.500001, "a0", 1e-6), id="a-millionth-decides"),
        pytest.param([0.35, 0.1], 0.35, Choice(0, "a0", 0.35, "a1", 0.25), id="minimum-is-enough"),
        pytest.param([0.349999, 0.1], 0.35, None, id="below-minimum"),
        pytest.param([0.4], 0.0, Choice(0, "a0", 0.4, None, 0.4), id="alone"),
        pytest.param([], 0.0, None, id="nobody"),
        pytest.param([-0.2, -0.1], -1.0, Choice(1, "a1", -0.1, "a0", 0.1), id="all-negative"),
        pytest.param([math.nan, 0.1], 0.0, Choice(1, "a1", 0.1, "a0", 1.1), id="nan-never-wins"),
        pytest.param([math.nan], 0.0, None, id="only-nan"),
    ],
)
def test_choice_is_the_best_score_that_reaches_the_minimum(
    scores: list[float], minimum: float, expected: Choice | None
) -> None:
    assert choose(scores, names_of(scores), minimum) == expected


def test_scores_and_names_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        choose([0.1], ["a", "b"], 0.0)


@given(SCORES)
def test_nobody_scores_above_the_choice_and_nobody_before_it_scores_as_much(scores: list[float]) -> None:
    choice = choose(scores, names_of(scores), -1.0)
    assert choice is not None
    rounded = [round(score, 6) for score in scores]
    assert choice.score == max(rounded)
    assert all(score < choice.score for score in rounded[: choice.index])


@given(SCORES, st.floats(-1, 1))
def test_a_minimum_only_refuses_and_never_changes_the_choice(scores: list[float], minimum: float) -> None:
    free = choose(scores, names_of(scores), -1.0)
    assert choose(scores, names_of(scores), minimum) in (None, free)
