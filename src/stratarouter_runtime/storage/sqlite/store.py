"""The store on SQLite: the port's words turned into writes and queries.

Must never know: threads, transactions, or SQL beyond its names.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from errno import EROFS
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from typing_extensions import override

from stratarouter_runtime.errors import StoreUnavailable
from stratarouter_runtime.ports import Deployed, Execution, Status, Store
from stratarouter_runtime.sharing import NOBODY
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.storage.blobs import check_whole
from stratarouter_runtime.storage.rows import execution_of
from stratarouter_runtime.storage.rules import unknown
from stratarouter_runtime.storage.sqlite import audited, writes
from stratarouter_runtime.storage.sqlite.cache import SqliteCache
from stratarouter_runtime.storage.sqlite.connection import open_writer
from stratarouter_runtime.storage.sqlite.faults import NO_ROOM, full, read_only
from stratarouter_runtime.storage.sqlite.keeping import SqliteKeeping
from stratarouter_runtime.storage.sqlite.lock import Ownership
from stratarouter_runtime.storage.sqlite.quotas import SqliteQuotas
from stratarouter_runtime.storage.sqlite.reader import Reader
from stratarouter_runtime.storage.sqlite.sharing import SqliteLeases, SqliteMail
from stratarouter_runtime.storage.sqlite.shelf import SqliteAudit, SqliteShelf
from stratarouter_runtime.storage.sqlite.snapshots import SqliteSnapshots
from stratarouter_runtime.storage.sqlite.sql import statement
from stratarouter_runtime.storage.sqlite.writer import Writer
from stratarouter_runtime.storage.statistics import Commits, WriterStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
    from stratarouter_runtime.sharing import Lease

T = TypeVar("T")

DEPLOYED: Final = 1_000
"""Deployed flows that the owner of the file remembers."""


class SqliteStore(Store):
    """A store in one file. Without a writer it only reads. Used from one event loop at a time."""

    def __init__(
        self,
        path: Path,
        reader: Reader,
        writer: Writer | None = None,
        ownership: Ownership | None = None,
        beside: Writer | None = None,
    ) -> None:
        """`beside` writes documents, and forgets kept answers, of a store that another process owns."""
        self.path = path
        self._reader = reader
        self._writer = writer
        self._ownership = ownership
        self._beside = beside
        self._deployed: dict[tuple[Tenant, FlowId], Deployed] = {}
        self.leases = SqliteLeases(reader, self._write)
        self.mail = SqliteMail(reader, self._write)
        self.shelf = SqliteShelf(reader, self._write if beside is None else beside.submit)
        self.cache = SqliteCache(reader, self._write if beside is None else beside.submit)
        self.snapshots = SqliteSnapshots(reader, self._write)
        self.audit = SqliteAudit(reader)
        self.quotas = SqliteQuotas(reader, self._write)
        self.keeping = SqliteKeeping(path, self._write)

    @override
    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        write = writes.create(execution, records, lease)
        return await self._write(write, 1 + len(records), _size(records))

    @override
    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        write = writes.append(execution, records, status, lease)
        await self._write(write, len(records), _size(records))

    @override
    async def read(self, execution: ExecutionId, after: int = -1) -> list[Record]:
        rows = await self._reader.fetch(statement("read"), {"id": execution, "after": after})
        return check_whole(execution, [Record(*row) for row in rows])

    @override
    async def find(self, execution: ExecutionId) -> Execution | None:
        rows = self._reader.look(f"{statement('listed')} {statement('find')}", {"id": execution})
        return execution_of(rows[0]) if rows else None

    @override
    async def search(
        self,
        *,
        tenant: Tenant | None = None,
        flow: FlowId | None = None,
        status: Sequence[Status] = (),
        before: ExecutionId | None = None,
        limit: int = 50,
    ) -> list[Execution]:
        wanted: dict[str, Any] = {"tenant": tenant, "flow": flow}
        clauses = [f"{column} = :{column}" for column, value in wanted.items() if value is not None]
        if status:
            wanted["status"] = msgspec.json.encode(status).decode()
            clauses.append("status IN (SELECT value FROM json_each(:status))")
        if before is not None:
            wanted["created"], wanted["execution"] = self._cursor(before, tenant)
            clauses.append("(created, execution) < (:created, :execution)")
        condition = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"{statement('listed')} {condition} {statement('newest')}"
        return [execution_of(row) for row in await self._reader.fetch(query, wanted | {"limit": limit})]

    @override
    async def unfinished(self) -> list[Execution]:
        rows = await self._reader.fetch(f"{statement('listed')} {statement('unfinished')}")
        return [execution_of(row) for row in rows]

    @override
    async def keep_plan(self, plan: Digest, document: bytes) -> None:
        await self._write(writes.keep_plan(plan, document))

    @override
    async def plan(self, plan: Digest) -> bytes | None:
        rows = self._reader.look(statement("plan"), {"plan": plan})
        return rows[0][0] if rows else None

    @override
    async def deploy(self, deployed: Deployed, *, by: str = "", quota: int | None = None) -> None:
        try:
            await self._write(audited.deploy(deployed, by, quota))
        finally:  # interrupted, it may have come true
            self._deployed.pop((deployed.tenant, deployed.flow), None)

    @override
    async def retire(self, tenant: Tenant, flow: FlowId, *, at: int, by: str = "") -> bool:
        try:
            return await self._write(audited.retire(tenant, flow, at, by))
        finally:
            self._deployed.pop((tenant, flow), None)

    @override
    async def deployed(self, tenant: Tenant, flow: FlowId) -> Deployed | None:
        known = self._deployed.get((tenant, flow))
        return known or self._look_up(tenant, flow)

    def _look_up(self, tenant: Tenant, flow: FlowId) -> Deployed | None:
        """As the file has it; remembered by the owner of the file, since nobody else deploys."""
        rows = self._reader.look(statement("deployed"), {"tenant": tenant, "flow": flow})
        if not rows:
            return None
        found = Deployed(*rows[0])
        if self._writer is not None:
            if len(self._deployed) >= DEPLOYED:
                self._deployed.clear()
            self._deployed[tenant, flow] = found
        return found

    @override
    async def flows(self, tenant: Tenant, after: str = "", limit: int | None = None) -> list[Deployed]:
        wanted = {"tenant": tenant, "after": after, "limit": -1 if limit is None else limit}
        return [Deployed(*row) for row in await self._reader.fetch(statement("flows"), wanted)]

    @override
    async def deployed_plans(self, tenant: Tenant) -> dict[FlowId, Digest]:
        return dict(await self._reader.fetch(statement("deployed_plans"), {"tenant": tenant}))

    @override
    async def probe(self) -> None:
        await self._write(writes.probe())

    @override
    def stats(self) -> WriterStats:
        return Commits().stats() if self._writer is None else self._writer.commits.stats(self._writer.waiting)

    @override
    async def close(self) -> None:
        """Commit what waits; the last to close moves the log into the file."""
        await asyncio.to_thread(self._reader.close)
        for writer in (self._writer, self._beside):
            if writer is not None:
                await writer.close()
        if self._ownership is not None:
            self._ownership.release()

    async def _write(self, write: writes.Write[T], rows: int = 1, size: int = 0) -> T:
        if self._writer is None:
            raise read_only(self.path)
        return await self._writer.submit(write, rows, size)

    def _cursor(self, before: ExecutionId, tenant: Tenant | None) -> tuple[int, int]:
        """Where an execution stands in the order; `NotFound` for another tenant's like for none."""
        rows = self._reader.look(statement("cursor"), {"id": before})
        if not rows or tenant not in (None, rows[0][2]):
            raise unknown(before)
        created, execution, _ = rows[0]
        return created, execution


def open_store(path: Path) -> SqliteStore:
    """Own the store in this file, making it where there is none.

    Raises `StoreLocked` where another process owns it, `StoreReadOnly`, `StoreVersion` for a
    file of a newer runtime, and `StoreUnavailable` for what is no store.
    """
    with ExitStack() as opened:
        ownership = _own(path)
        opened.callback(ownership.release)
        connection = open_writer(path)
        opened.callback(connection.close, True)
        reader = Reader(path)
        opened.pop_all()
    return SqliteStore(path, reader, Writer(connection, path), ownership)


def open_beside(path: Path) -> SqliteStore:
    """Write documents of a store, and read all of it, while another process owns it.

    Documents, their audit, and answers kept for reuse, of which some are forgotten: of documents the
    owner remembers nothing, and that answers were forgotten it sees by their `generations`. Raises
    like `open_store`.
    """
    with ExitStack() as opened:
        reader = Reader(path)
        opened.callback(reader.close)
        connection = open_writer(path)
        opened.pop_all()
    return SqliteStore(path, reader, beside=Writer(connection, path))


def open_readonly(path: Path) -> SqliteStore:
    """Read a store, also while another process owns it; raises like `open_store`."""
    if not path.is_file():
        folder = ", which is a folder" if path.is_dir() else ""
        raise StoreUnavailable(f"there is no store {path}{folder}", hint="name the file of an existing store")
    return SqliteStore(path, Reader(path))


def _size(records: Sequence[Record]) -> int:
    """Bytes of their bodies."""
    return sum(len(record.body) for record in records)


def _own(path: Path) -> Ownership:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Ownership(path)
    except PermissionError as error:
        raise read_only(path) from error
    except OSError as error:
        if error.errno == EROFS:
            raise read_only(path) from error
        if error.errno in NO_ROOM:
            raise full(path) from error
        raise StoreUnavailable(
            f"the store {path} cannot be opened: {error.strerror}", hint="name a file in a folder of yours"
        ) from error
