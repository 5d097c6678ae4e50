"""The connections that read, and the few writes that belong to no journal.

A question that is lost with its connection is asked again until patience runs out; reading
twice changes nothing. Must never know: what is asked.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg

from stratarouter_runtime.errors import StoreUnavailable, StrataError
from stratarouter_runtime.storage.postgres.connection import connect
from stratarouter_runtime.storage.postgres.faults import FAILED, closed, lost, translated
from stratarouter_runtime.storage.postgres.pauses import FIRST, Pauses
from stratarouter_runtime.storage.postgres.sql import statement
from stratarouter_runtime.storage.postgres.text import from_server, to_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.storage.postgres.address import Address

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]


class Pool:
    """At most `size` sessions, opened when needed. `patience` is in seconds."""

    def __init__(self, address: Address, size: int, patience: float, *, readonly: bool = False) -> None:
        self._address = address
        self._patience = patience
        self._readonly = readonly
        self._room = asyncio.Semaphore(size)
        self._idle: list[asyncpg.Connection] = []
        self._closed = False

    async def fetch(self, query: str, *arguments: Any) -> list[Row]:
        """The rows of a query, which may be asked more than once. Raises `StoreError`."""
        return await self._insist(_question(query, arguments))

    async def fetch_once(self, query: str, *arguments: Any) -> list[Row]:
        """The rows of a query that is only worth asking now. Raises `StoreError`."""
        return await self._once(_question(query, arguments))

    async def number(self) -> int:
        """The first of a block of `numbers.BLOCK` numbers that nobody else gets."""
        return int((await self.fetch(statement("block")))[0][0])

    async def keep_plan(self, plan: Digest, document: bytes) -> None:
        """Keep a plan's document, once."""
        await self.fetch(statement("keep_plan"), plan, document)

    async def transact(self, change: Callable[[asyncpg.Connection], Awaitable[T | StrataError]]) -> T:
        """Have a change made in one transaction; what it gives, or raises where that is a refusal.

        Once only: told twice, it could undo what another process changed in between. So a commit
        that got no answer is looked up by the number of its transaction. A refusal is a value, which
        leaves the session in order, and comes before anything is changed.
        """
        tried: list[tuple[str, T | StrataError]] = []

        async def attempt(connection: asyncpg.Connection) -> T | StrataError:
            if tried and await self._came_true(connection, tried[-1][0]):
                return tried[-1][1]
            async with connection.transaction(isolation="read_committed"):
                number = await connection.fetchval(statement("own_number"))
                tried.append((number, await change(connection)))
            return tried[-1][1]

        came = await self._insist(attempt)
        if isinstance(came, StrataError):
            raise came
        return came

    @asynccontextmanager
    async def lock(self, number: int) -> AsyncIterator[None]:
        """Hold an advisory lock of the database, on a session of its own, once nobody else does. Raises `StoreError`."""
        connection = await connect(self._address)
        try:
            pauses = Pauses()
            while not await _try_lock(connection, number, self._address):
                await pauses.over()
            yield
        finally:
            await release(connection)

    async def close(self) -> None:
        """Let go of all connections; those at work go when their question is answered."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            await release(connection)

    async def _came_true(self, connection: asyncpg.Connection, transaction: str) -> bool:
        """Whether a transaction was committed, once that is decided."""
        while True:
            status = await connection.fetchval(statement("came_true"), transaction)
            if status != "in progress":
                return bool(status == "committed")
            await asyncio.sleep(FIRST)

    async def _insist(self, ask: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Have a question answered, over new connections where need be."""
        pauses = Pauses(asyncio.get_running_loop().time() + self._patience)
        while True:
            try:
                return await self._once(ask)
            except StoreUnavailable:
                if self._closed or not await pauses.over():
                    raise

    async def _once(self, ask: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        async with self._room:
            connection = await self._take()
            try:
                async with asyncio.timeout(self._patience):
                    answer = await ask(connection)
            except FAILED as error:
                if lost(error):
                    # The others were opened to the same server: most likely they are lost too.
                    self._forget(connection)
                else:
                    await self._put(connection)
                raise translated(error, self._address) from error
            except BaseException:
                connection.terminate()
                raise
            await self._put(connection)
            return answer

    async def _take(self) -> asyncpg.Connection:
        if self._closed:
            raise closed()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await connect(self._address, readonly=self._readonly)

    async def _put(self, connection: asyncpg.Connection) -> None:
        if self._closed:
            await release(connection)
        else:
            self._idle.append(connection)

    def _forget(self, connection: asyncpg.Connection) -> None:
        for each in (connection, *self._idle):
            each.terminate()
        self._idle.clear()


async def _try_lock(connection: asyncpg.Connection, number: int, address: Address) -> bool:
    try:
        return bool(await connection.fetchval(statement("try_lock"), number))
    except FAILED as error:
        raise translated(error, address) from error


def _question(query: str, arguments: Sequence[Any]) -> Callable[[asyncpg.Connection], Awaitable[list[Row]]]:
    asked = [to_server(argument) for argument in arguments]

    async def ask(connection: asyncpg.Connection) -> list[Row]:
        return [tuple(map(from_server, row)) for row in await connection.fetch(query, *asked)]

    return ask


async def release(connection: asyncpg.Connection) -> None:
    """End a session politely, or else at once."""
    try:
        await connection.close(timeout=2.0)
    except FAILED:
        connection.terminate()
