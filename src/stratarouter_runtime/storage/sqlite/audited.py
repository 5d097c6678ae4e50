"""The writes that leave a line in the audit, each a function of the transaction it becomes part of.

Each refuses before it changes anything, like those of `writes`. Must never know: when it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stratarouter_runtime.audit import Change, Head, follow
from stratarouter_runtime.storage.shelving import (
    check_expected,
    check_quota,
    check_workflows,
    deployment,
    retirement,
)
from stratarouter_runtime.storage.sqlite.sql import statement

if TYPE_CHECKING:
    import apsw

    from stratarouter_runtime.ids import FlowId, Tenant
    from stratarouter_runtime.ports import Deployed, Kept
    from stratarouter_runtime.storage.sqlite.transaction import Transaction
    from stratarouter_runtime.storage.sqlite.writes import Write


def deploy(deployed: Deployed, by: str, quota: int | None) -> Write[None]:
    """Replace what is deployed under this name."""
    row = msgspec.structs.asdict(deployed)

    def write(transaction: Transaction) -> None:
        connection = transaction.connection
        mine = {"tenant": deployed.tenant, "flow": deployed.flow}
        check_workflows(deployed.tenant, connection.execute(statement("count_flows"), mine).get, quota)
        connection.execute(statement("deploy"), row)
        _leave(connection, deployment(deployed, by))

    return write


def retire(tenant: Tenant, flow: FlowId, at: int, by: str) -> Write[bool]:
    """Deploy a flow no longer; gives False where it is not."""

    def write(transaction: Transaction) -> bool:
        transaction.connection.execute(statement("retire"), {"tenant": tenant, "flow": flow})
        if not transaction.connection.changes():
            return False
        _leave(transaction.connection, retirement(tenant, flow, at, by))
        return True

    return write


def put(wanted: Kept, by: str, expected: int | None, quota: int | None) -> Write[int]:
    """Keep a document; gives its version. Of `wanted` version and creation count as not known yet."""
    tenant, kind, name = wanted.tenant, wanted.kind, wanted.name
    named = {"kind": kind, "tenant": tenant, "name": name}

    def write(transaction: Transaction) -> int:
        connection = transaction.connection
        version, created, there = _current(connection, named)
        check_expected(kind, name, version if there else 0, expected)
        if not there:
            mine = {"kind": kind, "tenant": tenant}
            check_quota(kind, tenant, connection.execute(statement("shelf_count"), mine).get, quota)
        row = named | {"version": version + 1, "body": wanted.body, "updated": wanted.updated}
        connection.execute(statement("shelf_put"), row | {"created": created if there else wanted.updated})
        change = Change(tenant, wanted.updated, by, f"put {kind}", name, version + 1, wanted.body)
        _leave(connection, change)
        return version + 1

    return write


def remove(tenant: Tenant, kind: str, name: str, at: int, by: str, expected: int | None) -> Write[bool]:
    """Take a document away; gives False where there is none."""
    named = {"kind": kind, "tenant": tenant, "name": name}

    def write(transaction: Transaction) -> bool:
        connection = transaction.connection
        version, created, there = _current(connection, named)
        check_expected(kind, name, version if there else 0, expected)
        if not there:
            return False
        row = named | {"version": version, "body": None, "created": created, "updated": at}
        connection.execute(statement("shelf_put"), row)
        _leave(connection, Change(tenant, at, by, f"remove {kind}", name, version, None))
        return True

    return write


def _current(connection: apsw.Connection, named: dict[str, str]) -> tuple[int, int, bool]:
    """Version and creation of what has or had this name, and whether it is there."""
    row = connection.execute(statement("shelf_current"), named).fetchone()
    return (0, 0, False) if row is None else (row[0], row[1], bool(row[2]))


def _leave(connection: apsw.Connection, change: Change) -> None:
    """Leave the line of a change."""
    row = connection.execute(statement("audit_head")).fetchone()
    assert row is not None
    line = follow(Head(*row), change)
    connection.execute(statement("audit_add"), msgspec.structs.asdict(line))
    connection.execute(statement("audit_move"), {"number": line.number, "link": line.link})
