"""Times and durations as values: one canonical text each, and microseconds to reckon with.

A time is held as `YYYY-MM-DDTHH:MM:SS.ffffffZ`, so that comparing texts compares times; a
duration as `PT<seconds>[.<fraction>]S`, so that equal durations are equal texts. Microseconds
are counted from 1970-01-01T00:00:00Z. Must never know: what time it is now.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MICROS: Final = 1_000_000
"""Microseconds in a second."""

_DAY: Final = 86_400
_FIRST: Final = -62_135_596_800 * MICROS
_LAST: Final = 253_402_300_800 * MICROS - 1
_MAX_SPAN: Final = _LAST - _FIRST
_ERA: Final = 719_468
"""Days from 0000-03-01, where the arithmetic of months starts, to 1970-01-01."""

_CANONICAL: Final = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
).fullmatch
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
).fullmatch
_ISO: Final = re.compile(
    r"(-?)P(?:([0-9]+)W|(?:([0-9]+)D)?(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)(?:\.([0-9]{1,6}))?S)?)?)"
).fullmatch
_SHORT: Final = re.compile(
    r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m(?!s))?(?:([0-9]+)(?:\.([0-9]{1,6}))?s)?(?:([0-9]+)ms)?(?:([0-9]+)us)?"
).fullmatch
_ISO_UNITS: Final = (7 * _DAY, _DAY, 3_600, 60, 1)
_LENGTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def canonical_time(text: str) -> str:
    """The canonical text of an RFC 3339 time; raises ValueError with a reason for anything else."""
    if _CANONICAL(text) and text[:4] != "0000":
        return text
    return time_text(time_micros(text))


def time_micros(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 time; raises ValueError.

    A leap second counts as the second after it; digits beyond microseconds are cut off.
    """
    found = _TIME(text)
    if found is None:
        raise ValueError("expected a time like 2026-03-01T09:30:00Z, with its offset")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= _days_in(year, month)):
        raise ValueError("there is no such day")
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("there is no such time of day")
    offset = _offset(*found.groups()[7:])
    seconds = _days(year, month, day) * _DAY + hour * 3_600 + minute * 60 + second - offset
    if second == 60 and seconds % _DAY != 0:
        raise ValueError("a leap second is the last of its day in UTC")
    return _in_range(seconds * MICROS + _fraction(found[7]))


def time_text(micros: int) -> str:
    """The canonical text of a time in microseconds; raises ValueError outside the years 1 to 9999."""
    seconds, fraction = divmod(_in_range(micros), MICROS)
    days, rest = divmod(seconds, _DAY)
    return f"{_date(days)}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{fraction:06}Z"


def canonical_duration(text: str) -> str:
    """The canonical text of a duration, written `PT90S` or `1m30s`; raises ValueError."""
    return duration_text(duration_micros(text))


def duration_micros(text: str) -> int:
    """Microseconds of a duration: ISO 8601 up to weeks, or short like `1h30m`, `200ms`; raises ValueError."""
    found = _ISO(text)
    if found is not None and not text.endswith(("P", "T")):
        sign, *parts, fraction = found.groups()
        total = sum(int(part) * unit for part, unit in zip(parts, _ISO_UNITS, strict=True) if part)
        return _in_span((total * MICROS + _fraction(fraction)) * (-1 if sign else 1))
    short = _SHORT(text)
    if short is None or not text:
        raise ValueError(_why_no_duration(text))
    days, hours, minutes, seconds, fraction, millis, micros = (part or "0" for part in short.groups())
    total = int(days) * _DAY + int(hours) * 3_600 + int(minutes) * 60 + int(seconds)
    return _in_span(total * MICROS + _fraction(fraction) + int(millis) * 1_000 + int(micros))


def duration_text(micros: int) -> str:
    """The canonical text of a duration in microseconds; raises ValueError beyond 9999 years."""
    seconds, fraction = divmod(abs(_in_span(micros)), MICROS)
    tail = f".{fraction:06}".rstrip("0") if fraction else ""
    return f"{'-' if micros < 0 else ''}PT{seconds}{tail}S"


def _why_no_duration(text: str) -> str:
    if text.lstrip("-").startswith("P") and ("Y" in text or "M" in text.partition("T")[0]):
        return "years and months have no fixed length: use days"
    return "expected a duration like PT90S or 1m30s"


def _fraction(digits: str | None) -> int:
    return int(digits.ljust(6, "0")[:6]) if digits else 0


def _offset(sign: str | None, hours: str | None, minutes: str | None) -> int:
    if sign is None or hours is None or minutes is None:
        return 0
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError("there is no such offset from UTC")
    seconds = int(hours) * 3_600 + int(minutes) * 60
    return -seconds if sign == "-" else seconds


def _in_range(micros: int) -> int:
    if not _FIRST <= micros <= _LAST:
        raise ValueError("a time lies in the years 1 to 9999")
    return micros


def _in_span(micros: int) -> int:
    if not -_MAX_SPAN <= micros <= _MAX_SPAN:
        raise ValueError("a duration is at most 9999 years")
    return micros


def _days_in(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _LENGTHS[month - 1] + leap


def _days(year: int, month: int, day: int) -> int:
    # Years are counted from March, so that the day a leap year adds is the year's last.
    year -= month <= 2
    months = (month + 9) % 12
    return year * 365 + year // 4 - year // 100 + year // 400 + (153 * months + 2) // 5 + day - 1 - _ERA


@lru_cache(maxsize=8)
def _date(days: int) -> str:
    """The text of a day; those asked for lie close together."""
    year, month, day = _civil(days)
    return f"{year:04}-{month:02}-{day:02}"


def _civil(days: int) -> tuple[int, int, int]:
    era, day_of_era = divmod(days + _ERA, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    months = (5 * day_of_year + 2) // 153
    month = months + 3 if months < 10 else months - 9
    return era * 400 + year_of_era + (month <= 2), month, day_of_year - (153 * months + 2) // 5 + 1
