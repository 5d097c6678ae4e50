"""What goes over the wire about usage.

Must never know: how anything is counted.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from stratarouter_runtime.api.models import Cost


class LimitUsed(Struct, frozen=True):
    """One limit. `limit` and `left` are null where there is none; `resets` says when time gives it back."""

    name: str
    used: int
    limit: int | None
    left: int | None
    resets: str | UnsetType = UNSET


class Total(Struct, frozen=True):
    """What executions came to: `agents_ms` is the time their agents took."""

    executions: int
    completed: int
    failed: int
    cost: Cost
    agents_ms: float


class UsageAnswer(Struct, frozen=True):
    """`today` is since midnight of UTC, `ever` all that is kept."""

    tenant: str
    tier: str
    limits: tuple[LimitUsed, ...]
    today: Total
    ever: Total


class WorkflowUsage(Struct, frozen=True):
    """The same of one workflow, which has no limits of its own."""

    workflow_id: str
    today: Total
    ever: Total
