"""All that is durable, in one place, and what it keeps beside the journals.

Times are microseconds since the epoch (UTC). Must never know: an implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from stratarouter_runtime.ports.journals import Catalog, Journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.audit import Head, Line
    from stratarouter_runtime.ids import ExecutionId, FlowId, Tenant
    from stratarouter_runtime.ports.journals import Execution
    from stratarouter_runtime.ports.keeping import Keeping
    from stratarouter_runtime.ports.reuse import CacheStore
    from stratarouter_runtime.sharing import Lease, Leases, Mail
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.tenancy.quotas import Admission, Spent, Totals


class Kept(Struct, frozen=True):
    """A document on the shelf. `version` counts from 1 and never comes twice for one name."""

    tenant: Tenant
    kind: str
    name: str
    version: int
    body: bytes
    created: int
    updated: int


class Shelf(Protocol):
    """Small documents by tenant, kind and name; what these methods return has been synced.

    Every change leaves a line in the audit, in the same transaction. `by` names who made it, `at`
    is when. Raises `errors.StoreError` like a journal.
    """

    async def put(
        self,
        tenant: Tenant,
        kind: str,
        name: str,
        body: bytes,
        *,
        at: int,
        by: str = "",
        expected: int | None = None,
        quota: int | None = None,
    ) -> int:
        """Keep a document under its name, in place of the one before; its version.

        `expected` is the version it replaces (0: none may be there): raises `errors.Conflict`
        where it is another. Raises `errors.LimitExceeded` where it would be one more than `quota`
        documents of this tenant and kind.
        """
        ...

    async def get(self, tenant: Tenant, kind: str, name: str) -> Kept | None:
        """The document of this name."""
        ...

    async def all(self, tenant: Tenant | None, kind: str, after: str = "", limit: int = 1_000) -> list[Kept]:
        """Documents behind `after` in the order of their names.

        Where `tenant` is None those of all tenants, in the order of tenant and name; `after` is then
        both, with a NUL between them.
        """
        ...

    async def remove(
        self, tenant: Tenant, kind: str, name: str, *, at: int, by: str = "", expected: int | None = None
    ) -> bool:
        """Take a document away; False where there is none. Raises `errors.Conflict` as `put`."""
        ...


class Audit(Protocol):
    """The audit as it is kept; written by the changes themselves. Raises `errors.StoreError`."""

    async def lines(self, after: int = 0, limit: int = 1_000) -> list[Line]:
        """The lines numbered above `after`, in order."""
        ...

    async def head(self) -> Head:
        """The last line, as noted apart from the lines."""
        ...


class Snapshots(Protocol):
    """The newest snapshot of each execution that has not finished: a shortcut, never a source.

    Losing one loses nothing. Raises `errors.StoreError` like a journal.
    """

    async def save(self, execution: ExecutionId, seq: int, body: bytes) -> None:
        """Keep a snapshot of the first `seq` records; nothing where a newer one is kept, or it has ended."""
        ...

    async def load(self, execution: ExecutionId) -> bytes | None:
        """The snapshot that is kept."""
        ...

    async def drop(self, execution: ExecutionId) -> None:
        """Keep none any more."""
        ...


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

    async def requests(self, tenant: Tenant, now: int) -> int:
        """Requests that were counted within the last minute."""
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


class Store(Journal, Catalog, Protocol):
    """All that is durable, in one place."""

    leases: Leases
    mail: Mail
    snapshots: Snapshots
    shelf: Shelf
    cache: CacheStore
    audit: Audit
    quotas: Quotas
    keeping: Keeping

    async def probe(self) -> None:
        """Commit what changes nothing, synced as any commit. Raises `errors.StoreError` where that fails."""
        ...

    def stats(self) -> Struct:
        """What its writer has counted; a `Source`."""
        ...

    async def close(self) -> None:
        """Finish what waits, and let go of the store."""
        ...
