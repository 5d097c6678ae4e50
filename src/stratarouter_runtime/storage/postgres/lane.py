"""One session that writes: connected again when it is lost, sure of what became of its last commit.

Must never know: who waits for a write, or in what order writes come.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from stratarouter_runtime.errors import LeaseLost, StoreUnavailable
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.storage.postgres import blobs
from stratarouter_runtime.storage.postgres.batch import Head, Staged, leases_of, stage
from stratarouter_runtime.storage.postgres.connection import LOCKS, connect
from stratarouter_runtime.storage.postgres.faults import FAILED, RACES, lost, translated
from stratarouter_runtime.storage.postgres.numbers import HALF
from stratarouter_runtime.storage.postgres.pauses import Pauses
from stratarouter_runtime.storage.postgres.pool import release
from stratarouter_runtime.storage.postgres.sql import statement
from stratarouter_runtime.storage.postgres.text import as_meant, written

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.storage.postgres.address import Address
    from stratarouter_runtime.storage.postgres.batch import Outcome, Write

REMEMBERED: Final = 16_384
"""Executions whose heads are kept at hand between commits."""

RACES_LOST: Final = 20
"""Times that other processes may be faster with one batch. Each of them means that they wrote."""


class Lane:
    """Commits one batch at a time. `number` names the lane among all of the database."""

    def __init__(self, address: Address, number: int, patience: float) -> None:
        self._address = address
        self.lock = LOCKS | (number & HALF)
        """The advisory lock that its session holds."""
        self._patience = patience
        self._connection: asyncpg.Connection | None = None
        self._heads: dict[ExecutionId, Head] = {}

    async def commit(self, writes: Sequence[Write], number: int, until: float) -> list[Outcome]:
        """What came of each write, all decided and durable. `number` names the commit.

        Tries until `until` (of the loop's clock). Raises `StoreError`; where the connection was
        lost in the middle of a commit and does not come back, the writes may have come true.
        """
        sent: Staged | None = None
        leases, races = leases_of(writes), 0
        while True:
            connection = await self._connected(until)
            try:
                async with asyncio.timeout(self._patience):
                    if sent is not None and (made := await _look(connection, sent, number)) is not None:
                        return self._done(writes, sent, made)
                    sent = None
                    staged = await self._stage(connection, writes)
                    sent = staged
                    return self._done(writes, staged, await _write(connection, staged, number, leases))
            except RACES as error:
                sent, races = None, races + 1
                self._forget(writes)
                if races == RACES_LOST:
                    raise translated(error, self._address) from error
            except FAILED as error:
                self._forget(writes)
                if not lost(error):
                    raise
                self._drop()

    async def open(self) -> None:
        """Connect. Raises `StoreError`."""
        connection = await connect(self._address, writing=True)
        try:
            await self._own(connection)
        except FAILED as error:
            connection.terminate()
            raise translated(error, self._address) from error
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection

    async def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            await release(self._connection)
            self._connection = None

    async def _own(self, connection: asyncpg.Connection) -> None:
        """Hold the lane's lock, which a session lost before holds as long as it is at work on the server.

        So long nobody can say what became of its commit; its end, asked for here, decides that.
        """
        if not await connection.fetchval(statement("try_lock"), self.lock):
            await connection.execute(statement("end_lost"), self.lock)
            raise StoreUnavailable(
                f"a lost session is still at work at {self._address.place}", hint="try again in a moment"
            )

    async def _connected(self, until: float) -> asyncpg.Connection:
        pauses = Pauses(until)
        while self._connection is None or self._connection.is_closed():
            try:
                await self.open()
            except StoreUnavailable:
                if not await pauses.over():
                    raise
        return self._connection

    async def _stage(self, connection: asyncpg.Connection, writes: Sequence[Write]) -> Staged:
        """Rows that fit all that is known, after asking once for what is not."""
        staged = stage(writes, self._heads, ())
        if not staged.stale:
            return staged
        fresh = staged.stale
        for execution in fresh:
            self._heads.pop(execution, None)
        asked = [written(execution) for execution in fresh]
        for execution, place, following in await connection.fetch(statement("heads"), asked):
            self._heads[ExecutionId(as_meant(execution))] = Head(place, following)
        return stage(writes, self._heads, fresh)

    def _done(self, writes: Sequence[Write], staged: Staged, made: Collection[int]) -> list[Outcome]:
        if len(self._heads) > REMEMBERED:
            self._heads.clear()
        self._heads |= staged.heads
        for write in writes:
            if getattr(write, "place", None) in made:
                self._heads[write.id] = Head(write.place, len(write.records))  # type: ignore[union-attr]  # a write staged has its place
            status = getattr(write, "status", None)
            if status is not None and status.status in ENDED:
                # Nothing follows, and it may be taken away one day.
                self._heads.pop(write.id, None)
        return staged.outcomes(writes, made)

    def forget(self, execution: ExecutionId) -> None:
        """Ask the database again where this journal goes on."""
        self._heads.pop(execution, None)

    def _forget(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self.forget(write.id)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def _write(
    connection: asyncpg.Connection, staged: Staged, number: int, leases: Sequence[Lease]
) -> set[int]:
    """Commit; the places of the executions that began. One statement is one transaction.

    Raises `LeaseLost`, having written nothing, where one of these leases was taken.
    """
    if staged.nothing:
        return set()
    if not staged.blobs:
        return await _commit(connection, staged, number, leases)
    async with connection.transaction():
        await blobs.keep(connection, staged.blobs)
        made = await _commit(connection, staged, number, leases)
        unmade = {row[0] for row in staged.executions} - made
        await blobs.refer(connection, [use for use in staged.uses if use[0] not in unmade])
        await blobs.drop_unused(connection, {digest for place, digest in staged.uses if place in unmade})
    return made


async def _commit(
    connection: asyncpg.Connection, staged: Staged, number: int, leases: Sequence[Lease]
) -> set[int]:
    if staged.executions or staged.statuses:
        held, made = (await connection.fetch(statement("commit"), number, *staged.all_columns(), leases))[0]
    else:
        done = await connection.execute(statement("append"), number, *staged.record_columns(), leases)
        held, made = done != "INSERT 0 0", ()
    if not held:
        raise LeaseLost
    return set(made)


async def _look(connection: asyncpg.Connection, sent: Staged, number: int) -> set[int] | None:
    """What a commit that got no answer began, or None where it did not come true.

    A commit without records in journals there were, and without a new execution, leaves no
    trace of its own, and may be repeated: it says the same again.
    """
    made = _places(await connection.fetch(statement("made"), [row[0] for row in sent.executions]))
    if made:
        return made
    if sent.appended is not None and await connection.fetchval(statement("kept"), *sent.appended, number):
        return made
    return None


def _places(rows: Sequence[Any]) -> set[int]:
    return {row[0] for row in rows}
