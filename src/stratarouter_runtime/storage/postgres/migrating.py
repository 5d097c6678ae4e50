"""Bringing the schema up to date, once, whoever comes first.

Must never know: what the tables are for.
"""

from __future__ import annotations

from typing import Final

import asyncpg

from stratarouter_runtime.errors import StoreLocked, StoreUnavailable, StoreVersion
from stratarouter_runtime.storage.postgres.address import Address, parse
from stratarouter_runtime.storage.postgres.connection import LOCKS, connect
from stratarouter_runtime.storage.postgres.faults import FAILED, translated
from stratarouter_runtime.storage.postgres.sql import migrations, statement

LOCK: Final = LOCKS | 0xFFFF_FFFF
"""Held by the one process that migrates; writers have the numbers below."""


async def migrate(connection: asyncpg.Connection, address: Address) -> None:
    """Apply what is missing, all in one transaction, while other processes wait.

    Raises `StoreVersion` for a newer schema, `StoreUnavailable` for one of another program,
    `StoreLocked` where another process holds the lock too long.
    """
    try:
        if await _version(connection, address) == len(migrations()):
            return
        async with connection.transaction():
            await connection.execute(statement("exclude_others"), LOCK)
            await _apply(connection, await _version(connection, address))
    except asyncpg.LockNotAvailableError as error:
        raise StoreLocked(
            f"the schema of the database at {address.place} is being changed by another process",
            hint="wait until that one has started, then try again",
        ) from error
    except FAILED as error:
        raise translated(error, address) from error


async def schema_of(url: str) -> int:
    """The number of a database's schema; 0 where there is none. Raises `StoreError`."""
    address = parse(url)
    connection = await connect(address, readonly=True)
    try:
        return await _version(connection, address)
    except FAILED as error:
        raise translated(error, address) from error
    finally:
        await connection.close(timeout=2.0)


async def check_version(connection: asyncpg.Connection, address: Address) -> None:
    """Refuse a schema that is not exactly ours. Raises `StoreVersion`, `StoreUnavailable`."""
    version = await _version(connection, address)
    if version < len(migrations()):
        raise StoreVersion(
            f"the database at {address.place} has schema {version}, this runtime reads {len(migrations())}",
            hint="strata db migrate brings it up to date, as does the next server that starts",
        )


async def _apply(connection: asyncpg.Connection, version: int) -> None:
    if version == len(migrations()):
        return
    await connection.execute(statement("found"))
    for number, (name, text) in enumerate(migrations()[version:], version + 1):
        await connection.execute(text)
        await connection.execute(statement("migrated"), number, name)


async def _version(connection: asyncpg.Connection, address: Address) -> int:
    """The schema's number: 0 where there is none."""
    schema, ours = await connection.fetchrow(statement("schema")) or (False, False)
    if not ours:
        if schema:
            raise StoreUnavailable(
                f"the database at {address.place} has a schema `strata` of another program",
                hint="name another database for the store",
            )
        return 0
    version = int(await connection.fetchval(statement("version")))
    if version > len(migrations()):
        raise StoreVersion(
            f"the database at {address.place} has schema {version}, newer than the {len(migrations())} "
            "of this runtime",
            hint="use the version of the runtime that wrote it, or a newer one",
        )
    return version
