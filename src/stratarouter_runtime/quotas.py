"""What tenants may use, and where it is counted.

Must never know: an implementation, or what is done when a limit is reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import FlowId, Tenant
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record

Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Tier(Struct, frozen=True):
    """What a tenant may use; None is without limit.

    Executions under way, and started on one day of UTC; workflows deployed; steps and seconds of one
    execution; requests in any minute.
    """

    name: str
    concurrent: Count | None = None
    daily: Count | None = None
    workflows: Count | None = None
    steps: Count | None = None
    seconds: Count | None = None
    requests: Count | None = None


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


class Quotas(Protocol):
    """What tenants have used of their limits; durable, and true for all processes at once.

    Raises `errors.StoreError` like a journal.
    """

    async def create(
        self, execution: Execution, records: Sequence[Record], lease: Lease, admission: Admission
    ) -> bool:
        """Begin an execution like `Journal.create`, if its tenant may have one more now and on this day.

        Counted in the transaction that begins it; one whose id exists already is not. Raises
        `errors.QuotaExceeded` where it may not: then nothing is written.
        """
        ...

    async def spend(self, tenant: Tenant, limit: int, now: int) -> Spent:
        """Count a request, unless there were `limit` within the last minute."""
        ...

    async def started(self, tenant: Tenant, now: int) -> int:
        """Executions under a limit that began on this day of UTC."""
        ...

    async def active(self, tenant: Tenant) -> int:
        """Executions under a limit that have not ended."""
        ...

    async def totals(self, tenant: Tenant, flow: FlowId | None = None, since: int = 0) -> Totals:
        """What the executions created since then came to, of all flows or of one."""
        ...
