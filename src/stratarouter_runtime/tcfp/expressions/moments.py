"""Arithmetic of times and durations, which are texts in canonical form.

Must never know types or syntax.
"""

from __future__ import annotations

from stratarouter_runtime.tcfp.expressions.library import ExpressionFailed
from stratarouter_runtime.tcfp.times import duration_micros, duration_text, time_micros, time_text


def add_time(left: str, right: str) -> str:
    """A time and a duration, in either order, as the later time."""
    if left.lstrip("-").startswith("P"):
        left, right = right, left
    return _time(time_micros(left) + duration_micros(right))


def sub_time(left: str, right: str) -> str:
    """A time less a duration."""
    return _time(time_micros(left) - duration_micros(right))


def between_times(left: str, right: str) -> str:
    """The duration from `right` to `left`."""
    return _duration(time_micros(left) - time_micros(right))


def add_duration(left: str, right: str) -> str:
    """The sum of two durations."""
    return _duration(duration_micros(left) + duration_micros(right))


def sub_duration(left: str, right: str) -> str:
    """The difference of two durations."""
    return _duration(duration_micros(left) - duration_micros(right))


def _time(micros: int) -> str:
    try:
        return time_text(micros)
    except ValueError as problem:
        raise ExpressionFailed(str(problem)) from None


def _duration(micros: int) -> str:
    try:
        return duration_text(micros)
    except ValueError as problem:
        raise ExpressionFailed(str(problem)) from None
