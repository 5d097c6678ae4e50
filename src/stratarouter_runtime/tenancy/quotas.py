"""What tenants may use, and what they have used, as records.

Must never know: where it is counted, or what is done when a limit is reached.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000)]

ITEMS: Final = 1_000
"""Items of one batch at most, for everybody."""


class Tier(Struct, frozen=True):
    """What a tenant may use; None is without limit.

    Executions under way, and started on one day of UTC; workflows deployed; steps and seconds of one
    execution; requests in any minute; agents registered.
    """

    name: str
    concurrent: Count | None = None
    daily: Count | None = None
    workflows: Count | None = None
    steps: Count | None = None
    seconds: Count | None = None
    requests: Count | None = None
    agents: Count | None = None


class Admission(Struct, frozen=True):
    """What the store holds an execution to as it begins: the limits of its tenant, on this day."""

    concurrent: int | None
    daily: int | None


class Spent(Struct, frozen=True):
    """What came of a request: whether it is within the limit, what is left, microseconds until there is more."""

    allowed: bool
    left: int
    wait: int


class Totals(Struct, frozen=True):
    """What executions came to, taken together."""

    executions: int = 0
    completed: int = 0
    failed: int = 0
    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    agent_ms: float = 0.0
