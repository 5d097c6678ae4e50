"""What counts against a limit, and until when; pure.

A day is one of UTC. Requests are counted by second, and one more is within the limit where the 61
seconds that touch the last minute hold fewer: so no minute, wherever it begins, ever holds one too
many. Must never know: where anything is counted, or any clock.
"""

from __future__ import annotations

from typing import Final

import msgspec

from stratarouter_runtime.errors import QuotaExceeded
from stratarouter_runtime.ids import Tenant
from stratarouter_runtime.tenancy.quotas import Spent

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
"""In microseconds."""

CONCURRENT: Final = "concurrent-executions"
DAILY: Final = "daily-executions"
REQUESTS: Final = "requests"
"""The names of the policies that time heals."""

SOON: Final = 1
"""Seconds after which to try again where nobody knows when an execution will end."""

_SECONDS: Final = 61


def day_of(now: int) -> int:
    """The day of UTC, counted from the epoch."""
    return now // DAY


def next_day(now: int) -> int:
    """When the next day of UTC begins."""
    return (day_of(now) + 1) * DAY


def started_on(day: int, started: int, today: int) -> tuple[int, int]:
    """The day to count on and what was started on it, after what was counted on an earlier day.

    A clock that steps back counts as standing still.
    """
    return (day, started) if today <= day else (today, 0)


def check_daily(tenant: Tenant, started: int, limit: int | None, now: int) -> None:
    """Refuse one execution more than the limit of a day. Raises `QuotaExceeded`."""
    if limit is not None and started >= limit:
        raise QuotaExceeded(
            f"tenant '{tenant}' has started {started} executions today (UTC), and may start {limit}",
            policy=DAILY,
            retry_after=whole_seconds(next_day(now) - now),
            hint="go on tomorrow, or ask the operator for another tier",
        )


def check_concurrent(tenant: Tenant, active: int, limit: int | None) -> None:
    """Refuse one execution more at once than the limit. Raises `QuotaExceeded`."""
    if limit is not None and active >= limit:
        raise QuotaExceeded(
            f"tenant '{tenant}' has {active} executions under way, and may have {limit}",
            policy=CONCURRENT,
            retry_after=SOON,
            hint="wait until one has ended, or for longer: options.queue_seconds",
        )


def slide(window: bytes, limit: int, now: int) -> tuple[bytes, Spent]:
    """Count a request in a window of seconds, unless it is full; the window as it is to be kept.

    A clock that steps back counts as standing still.
    """
    kept: list[tuple[int, int]] = msgspec.json.decode(window or b"[]", type=list[tuple[int, int]])
    second = max(now // SECOND, kept[-1][0] if kept else 0)
    kept = [(each, count) for each, count in kept if each > second - _SECONDS]
    used = sum(count for _, count in kept)
    if used < limit:
        before = kept.pop()[1] if kept and kept[-1][0] == second else 0
        kept.append((second, before + 1))
        spent = Spent(allowed=True, left=limit - used - 1, wait=_until(kept, now))
    else:
        spent = Spent(allowed=False, left=0, wait=_until(kept, now))
    return msgspec.json.encode(kept), spent


def used(window: bytes, now: int) -> int:
    """Requests that count at this moment."""
    kept = msgspec.json.decode(window or b"[]", type=list[tuple[int, int]])
    return sum(count for second, count in kept if second > now // SECOND - _SECONDS)


def _until(kept: list[tuple[int, int]], now: int) -> int:
    """Microseconds until the oldest second of the window no longer counts."""
    return max(0, (kept[0][0] + _SECONDS) * SECOND - now) if kept else MINUTE


def whole_seconds(microseconds: int) -> int:
    """Rounded up, and at least one."""
    return max(1, -(-microseconds // SECOND))
