"""Leases and letters in a file that has one process at a time.

The lock of the file is what excludes others; a lease counts how often somebody entered, so
that what an earlier one had queued is refused. Must never know: threads, or the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.sharing import Lease, Leases, Letter, Mail
from stratarouter_runtime.storage.sqlite.sql import statement
from stratarouter_runtime.storage.sqlite.writes import run

if TYPE_CHECKING:
    from stratarouter_runtime.storage.sqlite.reader import Reader
    from stratarouter_runtime.storage.sqlite.transaction import Transaction
    from stratarouter_runtime.storage.sqlite.writes import Submit, Write


class SqliteLeases(Leases):
    """The last lease holds until the next is drawn."""

    span = None

    def __init__(self, reader: Reader, submit: Submit) -> None:
        self._reader = reader
        self._submit = submit

    @override
    async def enter(self) -> Lease:
        return Lease(await self._submit(_enter))

    @override
    async def keep(self, lease: Lease) -> bool:
        return bool(self._reader.look(statement("lease_held"), {"lease": lease}))

    @override
    async def leave(self, lease: Lease) -> None:
        await self._submit(_leave(lease))

    @override
    async def expire(self) -> None:
        """A lease ends with the next one only."""

    @override
    async def holds(self, lease: Lease) -> bool:
        return await self.keep(lease)

    @override
    async def living(self) -> frozenset[Lease]:
        return frozenset(Lease(row[0]) for row in self._reader.look(statement("living")))

    @override
    async def claim(self, lease: Lease, limit: int) -> list[ExecutionId]:
        rows = await self._submit(run("claim", {"lease": lease, "limit": limit}))
        return [ExecutionId(row[0]) for row in sorted(rows, key=lambda row: row[1:])]

    @override
    async def take(self, lease: Lease, execution: ExecutionId) -> bool:
        return bool(await self._submit(run("take", {"lease": lease, "id": execution})))

    @override
    async def held(self, lease: Lease) -> list[ExecutionId]:
        rows = await self._reader.fetch(statement("held"), {"lease": lease})
        return [ExecutionId(row[0]) for row in rows]


class SqliteMail(Mail):
    """Letters in a table, though a process of its own file owns whatever it asks for."""

    def __init__(self, reader: Reader, submit: Submit) -> None:
        self._reader = reader
        self._submit = submit

    @override
    async def post(self, execution: ExecutionId, body: bytes) -> int:
        return int((await self._submit(run("mail_post", {"id": execution, "body": body})))[0][0])

    @override
    async def collect(self, lease: Lease) -> list[Letter]:
        if not self._reader.look(statement("mail_waiting"), {"lease": lease}):
            return []
        letters: list[Letter] = await self._submit(_collect(lease))
        return letters

    @override
    async def settle(self, letter: int, outcome: bytes) -> None:
        await self._submit(run("mail_settle", {"letter": letter, "outcome": outcome}))

    @override
    async def outcome(self, letter: int) -> bytes | None:
        rows = self._reader.look(statement("mail_outcome"), {"letter": letter})
        return rows[0][0] if rows else None

    @override
    async def withdraw(self, letter: int) -> bool:
        await self._submit(run("mail_withdraw", {"letter": letter}))
        return not self._reader.look(statement("mail_there"), {"letter": letter})

    @override
    async def discard(self, letter: int) -> None:
        await self._submit(run("mail_discard", {"letter": letter}))


def _leave(lease: Lease) -> Write[None]:
    def write(transaction: Transaction) -> None:
        transaction.connection.execute(statement("leave"), {"lease": lease})
        transaction.forget_lease()

    return write


def _enter(transaction: Transaction) -> int:
    connection = transaction.connection
    lease = int(connection.execute(statement("enter")).get)
    connection.execute(statement("expel_others"), {"lease": lease})
    transaction.forget_lease()
    return lease


def _collect(lease: Lease) -> Write[list[Letter]]:
    def write(transaction: Transaction) -> list[Letter]:
        connection, parameters = transaction.connection, {"lease": lease}
        rows: list[Any] = connection.execute(statement("mail_waiting"), parameters).fetchall()
        connection.execute(statement("mail_seen"), parameters)
        return [
            Letter(number, ExecutionId(execution), body, bool(seen)) for number, execution, body, seen in rows
        ]

    return write
