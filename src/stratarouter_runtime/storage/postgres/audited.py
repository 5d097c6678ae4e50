"""The writes that leave a line in the audit, each for a session that is in a transaction.

Whoever changes anything first locks the head of the audit, so what it reads then stays true until it
commits. A refusal is given back, not raised (`Pool.transact`). Must never know: when it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stratarouter_runtime.audit import Change, Head, follow
from stratarouter_runtime.errors import StrataError
from stratarouter_runtime.storage.postgres.sql import statement, value
from stratarouter_runtime.storage.postgres.text import to_server
from stratarouter_runtime.storage.shelving import (
    check_expected,
    check_quota,
    check_workflows,
    deployment,
    retirement,
)

if TYPE_CHECKING:
    import asyncpg

    from stratarouter_runtime.ids import FlowId, Tenant
    from stratarouter_runtime.ports import Deployed, Kept


async def deploy(
    deployed: Deployed, by: str, quota: int | None, connection: asyncpg.Connection
) -> StrataError | None:
    """Replace what is deployed under this name."""
    head = await _lock(connection)
    others = await value(connection, "count_flows", deployed.tenant, deployed.flow)
    try:
        check_workflows(deployed.tenant, others, quota)
    except StrataError as refusal:
        return refusal
    await value(connection, "deploy", *msgspec.structs.astuple(deployed))
    await _leave(connection, head, deployment(deployed, by))
    return None


async def retire(tenant: Tenant, flow: FlowId, at: int, by: str, connection: asyncpg.Connection) -> bool:
    """Deploy a flow no longer; gives False where it is not."""
    head = await _lock(connection)
    if await value(connection, "retire", tenant, flow) is None:
        return False
    await _leave(connection, head, retirement(tenant, flow, at, by))
    return True


async def put(
    wanted: Kept, by: str, expected: int | None, quota: int | None, connection: asyncpg.Connection
) -> int | StrataError:
    """Keep a document; gives its version. Of `wanted` version and creation count as not known yet."""
    tenant, kind, name = wanted.tenant, wanted.kind, wanted.name
    head = await _lock(connection)
    version, created, there = await _current(connection, kind, tenant, name)
    try:
        check_expected(kind, name, version if there else 0, expected)
        if not there and quota is not None:
            check_quota(kind, tenant, await value(connection, "shelf_count", kind, tenant), quota)
    except StrataError as refusal:
        return refusal
    at = wanted.updated
    row = (kind, tenant, name, version + 1, wanted.body, created if there else at, at)
    await value(connection, "shelf_put", *row)
    await _leave(connection, head, Change(tenant, at, by, f"put {kind}", name, version + 1, wanted.body))
    return version + 1


async def remove(
    wanted: Kept, by: str, expected: int | None, connection: asyncpg.Connection
) -> bool | StrataError:
    """Take the document of this name away; gives False where there is none."""
    tenant, kind, name, at = wanted.tenant, wanted.kind, wanted.name, wanted.updated
    head = await _lock(connection)
    version, created, there = await _current(connection, kind, tenant, name)
    try:
        check_expected(kind, name, version if there else 0, expected)
    except StrataError as refusal:
        return refusal
    if not there:
        return False
    await value(connection, "shelf_put", kind, tenant, name, version, None, created, at)
    await _leave(connection, head, Change(tenant, at, by, f"remove {kind}", name, version, None))
    return True


async def _lock(connection: asyncpg.Connection) -> Head:
    row = await connection.fetchrow(statement("audit_lock"))
    assert row is not None
    return Head(row[0], row[1])


async def _current(connection: asyncpg.Connection, *named: str) -> tuple[int, int, bool]:
    """Version and creation of what has or had this name, and whether it is there."""
    row = await connection.fetchrow(statement("shelf_current"), *map(to_server, named))
    return (0, 0, False) if row is None else (row[0], row[1], row[2])


async def _leave(connection: asyncpg.Connection, head: Head, change: Change) -> None:
    """Leave the line of a change."""
    line = follow(head, change)
    await value(connection, "audit_add", *msgspec.structs.astuple(line))
    await value(connection, "audit_move", line.number, line.link)
