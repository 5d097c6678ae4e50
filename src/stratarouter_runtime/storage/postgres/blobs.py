"""Large bodies in the PostgreSQL store, within the transaction that brings the records referring to them.

Whoever comes to refer to a blob holds its row until that is committed, and whoever takes one away
looks for references only once it holds the row: so none is lost between two processes. Must never
know: what is in a body, or when it may go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.storage.postgres.sql import statement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import asyncpg


async def keep(connection: asyncpg.Connection, blobs: Mapping[bytes, bytes]) -> None:
    """Keep bodies, and hold their rows. In the order of digests, so that nobody waits in a circle."""
    await connection.executemany(statement("blob_keep"), sorted(blobs.items()))


async def refer(connection: asyncpg.Connection, uses: Iterable[tuple[int, bytes]]) -> None:
    """Note which executions refer to which blobs."""
    await connection.executemany(statement("blob_use"), sorted(uses))


async def drop_unused(connection: asyncpg.Connection, digests: Collection[bytes]) -> None:
    """Take away those of these blobs that nobody refers to. Two statements: the second sees what the first waited for."""
    if digests:
        await connection.execute(statement("blob_hold"), sorted(digests))
        await connection.execute(statement("blob_drop"), sorted(digests))
