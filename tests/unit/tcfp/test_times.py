from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.tcfp.times import (
    canonical_duration,
    canonical_time,
    duration_micros,
    duration_text,
    time_micros,
    time_text,
)

MOMENTS = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59))  # noqa: DTZ001 - hypothesis adds the zone
SPANS = st.integers(-(10**15), 10**15)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00.000000Z"),
        ("2026-03-01T09:30:00.000000Z", "2026-03-01T09:30:00.000000Z"),
        ("2026-03-01t09:30:00z", "2026-03-01T09:30:00.000000Z"),
        ("2026-03-01T09:30:00+02:00", "2026-03-01T07:30:00.000000Z"),
        ("2026-03-01T00:30:00-05:30", "2026-03-01T06:00:00.000000Z"),
        ("2026-01-01T00:00:00+00:01", "2025-12-31T23:59:00.000000Z"),
        ("2024-02-29T12:00:00.5Z", "2024-02-29T12:00:00.500000Z"),
        ("2024-02-29T12:00:00.123456789Z", "2024-02-29T12:00:00.123456Z"),
        ("1998-12-31T23:59:60Z", "1999-01-01T00:00:00.000000Z"),
        ("1998-12-31T15:59:60-08:00", "1999-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_has_one_canonical_text(written: str, canonical: str) -> None:
    assert canonical_time(written) == canonical
    assert canonical_time(canonical) == canonical


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("2026-03-01T09:30:00", "with its offset"),
        ("2026-03-01", "with its offset"),
        ("\uff12026-03-01T09:30:00Z", "with its offset"),
        ("2026-02-29T09:30:00Z", "no such day"),
        ("1900-02-29T09:30:00Z", "no such day"),
        ("2026-13-01T09:30:00Z", "no such day"),
        ("2026-03-01T24:00:00Z", "time of day"),
        ("2026-03-01T12:00:60Z", "leap second"),
        ("2026-03-01T12:00:00+24:00", "offset"),
        ("0000-01-01T00:00:00.000000Z", "years 1 to 9999"),
        ("0001-01-01T00:00:00+01:00", "years 1 to 9999"),
        ("9999-12-31T23:59:59-01:00", "years 1 to 9999"),
    ],
)
def test_what_is_no_time_is_refused_with_a_reason(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        canonical_time(written)


@given(MOMENTS)
def test_reckoning_agrees_with_the_calendar_of_python(moment: datetime) -> None:
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    micros = since // timedelta(microseconds=1)
    text = time_text(micros)
    assert datetime.fromisoformat(text) == moment.replace(tzinfo=UTC)
    assert time_micros(text) == micros


@given(MOMENTS, MOMENTS)
def test_comparing_texts_compares_times(a: datetime, b: datetime) -> None:
    texts = [canonical_time(moment.isoformat() + "Z") for moment in (a, b)]
    assert (texts[0] < texts[1]) == (a < b)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("60s", "PT60S"),
        ("1m", "PT60S"),
        ("PT1M", "PT60S"),
        ("1h30m", "PT5400S"),
        ("200ms", "PT0.2S"),
        ("1m200ms", "PT60.2S"),
        ("5us", "PT0.000005S"),
        ("2d", "PT172800S"),
        ("P1W", "PT604800S"),
        ("P1DT2H", "PT93600S"),
        ("PT0.500S", "PT0.5S"),
        ("PT0S", "PT0S"),
        ("-PT1.5S", "-PT1.5S"),
    ],
)
def test_a_duration_has_one_canonical_text(written: str, canonical: str) -> None:
    assert canonical_duration(written) == canonical
    assert canonical_duration(canonical) == canonical


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "expected a duration"),
        ("P", "expected a duration"),
        ("PT", "expected a duration"),
        ("P1DT", "expected a duration"),
        ("60", "expected a duration"),
        ("1 h", "expected a duration"),
        ("P1Y", "no fixed length"),
        ("P1M", "no fixed length"),
        ("9999999999999s", "9999 years"),
    ],
)
def test_what_is_no_duration_is_refused_with_a_reason(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        canonical_duration(written)


@given(SPANS)
def test_durations_come_back_from_their_text(micros: int) -> None:
    assert duration_micros(duration_text(micros)) == micros
