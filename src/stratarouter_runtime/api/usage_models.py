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


class Saved(Struct, frozen=True):
    """What was answered without an execution, or a call: by an answer that was kept, or one under way.

    The cost and time are those of the answers when they were made. Counted since the server began.
    """

    reused: int
    coalesced: int
    usd: str
    tokens: int
    agents_ms: float


class UsageAnswer(Struct, frozen=True):
    """`today` is since midnight of UTC, `ever` all that is kept, `saved` since the server began."""

    tenant: str
    tier: str
    limits: tuple[LimitUsed, ...]
    today: Total
    ever: Total
    saved: Saved


class WorkflowUsage(Struct, frozen=True):
    """The same of one workflow, which has no limits of its own."""

    workflow_id: str
    today: Total
    ever: Total
    saved: Saved
