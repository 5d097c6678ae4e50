from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stratarouter_runtime.tcfp.durations import MAX_DURATION, UNITS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("200ms", 200_000),
        ("60s", 60_000_000),
        ("10m", 600_000_000),
        ("1h", 3_600_000_000),
        ("2d", 172_800_000_000),
        ("1h30m", 5_400_000_000),
        ("1d2h3m4s5ms6us", 93_784_005_006),
        ("0s", 0),
        ("10000d", MAX_DURATION),
    ],
)
def test_reads(text: str, microseconds: int) -> None:
    assert parse_duration(text) == microseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "60",
        "s",
        "1.5s",
        "-1s",
        "1 s",
        "1m1h",
        "1s1s",
        "1S",
        "1min",
        "10001d",
        "9" * 30 + "s",
        "\u0661s",
        "1s\n",
    ],
)
def test_refuses(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0s"),
        (1, "1us"),
        (60_000_000, "1m"),
        (90_000_000, "90s"),
        (5_400_000_000, "90m"),
        (200_000, "200ms"),
        (86_400_000_000, "1d"),
        (90_061_000_000, "90061s"),
        (3_600_000_001, "1h1us"),
    ],
)
def test_writes_the_shortest_text(microseconds: int, text: str) -> None:
    assert format_duration(microseconds) == text


@given(
    st.integers(0, MAX_DURATION)
    | st.builds(int.__mul__, st.integers(0, 99), st.sampled_from([*UNITS.values()]))
)
@example(MAX_DURATION)
def test_what_is_written_reads_back(microseconds: int) -> None:
    assert parse_duration(format_duration(microseconds)) == microseconds
