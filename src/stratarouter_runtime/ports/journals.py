"""Executions, their facts and their plans, made durable.

Times are microseconds since the epoch (UTC). Must never know: an implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from stratarouter_runtime.sharing import NOBODY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Failure, Record, Usage


Status: TypeAlias = Literal[
    "queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out"
]


ENDED: Final = frozenset({"completed", "failed", "cancelled", "timed_out"})
"""The statuses that nothing changes any more."""


class Execution(Struct, frozen=True):
    """An execution as the store lists it. `output` and `failure` are there once it is finished."""

    id: ExecutionId
    tenant: Tenant
    flow: FlowId
    plan: Digest
    status: Status
    created: int
    updated: int
    records: int
    output: Any = None
    failure: Failure | None = None
    usage: Usage | None = None


class Deployed(Struct, frozen=True):
    """A flow as deployed: the text its author wrote, and the plan it compiled to."""

    flow: FlowId
    tenant: Tenant
    plan: Digest
    source: str
    created: int


class Journal(Protocol):
    """Where facts become durable: what these methods return has been synced.

    Raises `errors.StoreError` and its kinds when the store cannot do its work.
    """

    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        """Begin an execution with its first records, owned by `lease`; False where the id exists already.

        Raises `errors.LeaseLost` where the lease was taken: then nothing is written.
        """
        ...

    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        """Add records behind those there are, all or none; `status` replaces the listed row.

        What is paused is owned by nobody. Raises `errors.LeaseLost` as `create`, and
        `errors.Conflict` where a number is taken: somebody else has driven this execution.
        """
        ...

    async def read(self, execution: ExecutionId, after: int = -1) -> list[Record]:
        """The records numbered above `after`, in order."""
        ...

    async def find(self, execution: ExecutionId) -> Execution | None:
        """The execution of this id."""
        ...

    async def search(
        self,
        *,
        tenant: Tenant | None = None,
        flow: FlowId | None = None,
        status: Sequence[Status] = (),
        before: ExecutionId | None = None,
        limit: int = 50,
    ) -> list[Execution]:
        """Executions, newest first, below `before` in that order."""
        ...

    async def unfinished(self) -> list[Execution]:
        """Every execution that has not finished, oldest first: what recovery must drive on."""
        ...


class Catalog(Protocol):
    """Plans by digest, and flows as deployed. Raises `errors.StoreError` like a journal."""

    async def keep_plan(self, plan: Digest, document: bytes) -> None:
        """Store what a plan can be compiled from; keeping it twice changes nothing."""
        ...

    async def plan(self, plan: Digest) -> bytes | None:
        """The document of a plan."""
        ...

    async def deploy(self, deployed: Deployed, *, by: str = "", quota: int | None = None) -> None:
        """Make this the version that new executions of the flow run, with a line in the audit.

        Raises `errors.WorkflowQuota` where it would be one more than `quota` flows of the tenant.
        """
        ...

    async def retire(self, tenant: Tenant, flow: FlowId, *, at: int, by: str = "") -> bool:
        """Deploy this flow no longer, with a line in the audit; False where it is not deployed."""
        ...

    async def deployed(self, tenant: Tenant, flow: FlowId) -> Deployed | None:
        """The version that runs now."""
        ...

    async def flows(self, tenant: Tenant, after: str = "", limit: int | None = None) -> list[Deployed]:
        """The deployed flows of a tenant, by name: those behind `after`, so many at most."""
        ...

    async def deployed_plans(self, tenant: Tenant) -> dict[FlowId, Digest]:
        """Which plan each deployed flow of a tenant runs, by name: `flows` without their texts."""
        ...
