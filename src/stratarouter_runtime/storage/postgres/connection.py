"""Opening connections: what every session of the store agrees with the server on.

Must never know: executions, or who writes when.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg

from stratarouter_runtime.errors import StoreError
from stratarouter_runtime.storage.postgres.address import Address, misread
from stratarouter_runtime.storage.postgres.faults import FAILED, translated
from stratarouter_runtime.storage.postgres.sql import statement

OLDEST: Final = 13
"""The first version of the server that tells what became of a transaction by its number."""

CONNECT: Final = 10.0
"""Seconds that connecting may take."""

LOCKS: Final = 0x53545241 << 32
"""`STRA`, above the number of an advisory lock: other programs may use some of their own."""

_SETTINGS: Final = {
    "application_name": "stratarouter",
    "lock_timeout": "10s",
    # Short statements by key: compiling them, or reading a small table whole because
    # it was small when the statement was planned, only ever costs.
    "jit": "off",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_LISTING: Final = {"application_name": "stratarouter", "jit": "off"}


async def connect(address: Address, *, writing: bool = False, readonly: bool = False) -> asyncpg.Connection:
    """A session in which what is committed is synced.

    `writing` prepares it for the writers' statements; a `readonly` one cannot write at all.
    Raises `StoreError`.
    """
    settings = dict(_SETTINGS if writing else _LISTING)
    if readonly:
        settings["default_transaction_read_only"] = "on"
    try:
        async with asyncio.timeout(CONNECT):
            connection = await asyncpg.connect(address.url, server_settings=settings)
            await _agree(connection, address)
    except asyncpg.ClientConfigurationError:
        raise misread(address) from None
    except FAILED as error:
        raise translated(error, address) from error
    except ValueError:
        raise misread(address) from None
    return connection


async def _agree(connection: asyncpg.Connection, address: Address) -> None:
    version = connection.get_server_version()
    if version.major < OLDEST:
        connection.terminate()
        raise StoreError(
            f"the database at {address.place} is PostgreSQL {version.major}.{version.minor}, "
            f"older than the {OLDEST} this runtime needs",
            hint=f"use a server of version {OLDEST} or newer",
        )
    await connection.execute(statement("durable"))
