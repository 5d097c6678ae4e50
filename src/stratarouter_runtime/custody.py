"""A store as those have it who look after it: brought up to date, copied, owned alone.

Must never know: executions, or what is wrong with a store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.settings import place_of
from stratarouter_runtime.storage import sqlite

if TYPE_CHECKING:
    from pathlib import Path

    from stratarouter_runtime.ports import Store
    from stratarouter_runtime.settings import Settings
    from stratarouter_runtime.storage.postgres.store import PostgresStore


class Migration(Struct, frozen=True):
    """The number of a schema before and after; 0 where there was none."""

    place: str
    before: int
    after: int


@asynccontextmanager
async def owned(settings: Settings, store: Path | str | None) -> AsyncIterator[Store]:
    """The store, to be written. Raises `StoreLocked` while another process owns its file, and `StoreError`."""
    place = place_of(settings, store)
    opened: Store = (
        await _open_database(settings, place) if isinstance(place, str) else sqlite.open_store(place)
    )
    try:
        yield opened
    finally:
        await opened.close()


async def migrate(settings: Settings, store: Path | str | None) -> Migration:
    """Bring the schema of a store up to date. Raises `StoreError`."""
    place = place_of(settings, store)
    if not isinstance(place, str):
        before = await asyncio.to_thread(sqlite.schema_of, place)
        await sqlite.open_store(place).close()
        return Migration(str(place), before, sqlite.schema_of(place))
    from stratarouter_runtime.storage import postgres  # noqa: PLC0415 - start-up cost

    before = await postgres.schema_of(place)
    opened = await _open_database(settings, place)
    await opened.close()
    return Migration(opened.place, before, await postgres.schema_of(place))


async def backup(settings: Settings, store: Path | str | None, target: Path) -> int:
    """Copy a store that is a file to another one, as it stands now; the bytes of the copy.

    Raises `InvalidInput` where it is a database or the target exists, and `StoreError`.
    """
    place = place_of(settings, store)
    if isinstance(place, str):
        raise InvalidInput(
            "the store is a PostgreSQL database, which copies itself best",
            hint="pg_dump --format=custom --schema=strata --file=FILE URL; bring it back with pg_restore",
        )
    return await asyncio.to_thread(sqlite.backup, place, target)


async def _open_database(settings: Settings, url: str) -> PostgresStore:
    from stratarouter_runtime.storage import postgres  # noqa: PLC0415 - start-up cost

    return await postgres.open_store(
        url, connections=settings.database_max_connections, span=settings.database_lease_seconds
    )
