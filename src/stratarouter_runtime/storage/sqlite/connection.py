"""Opening a database file as a store: pragmas, version, migrations.

Must never know: executions, or who writes when.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from stratarouter_runtime.errors import StoreUnavailable, StoreVersion
from stratarouter_runtime.storage.sqlite.faults import read_only, speaking_of
from stratarouter_runtime.storage.sqlite.sql import migrations

APPLICATION: Final = 0x53545241
"""`STRA`: marks a database file as a store of this runtime."""

PATIENCE: Final = 5_000
"""Milliseconds to wait for a foreign program that holds the file."""

CACHE: Final = -16_384
"""The writer's page cache: 16 MiB."""

LOG_KEPT: Final = 64 * 1024 * 1024
"""Bytes to which the write-ahead log is cut when it starts anew."""


def open_writer(path: Path) -> apsw.Connection:
    """The one connection that writes; makes the file and brings its schema up to date.

    Raises `StoreVersion` for a newer schema, `StoreUnavailable` for a file that is no store.
    """
    with speaking_of(path):
        connection = apsw.Connection(str(path))
        try:
            _prepare(connection, path)
            _migrate(connection, path)
        except BaseException:
            connection.close(True)
            raise
        return connection


def open_reader(path: Path) -> apsw.Connection:
    """A connection that only reads. A file in a folder that may not be written is read as it lies there."""
    with speaking_of(path):
        try:
            return _open_reader(path, "mode=ro")
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            if _has_log(path):
                raise
            return _open_reader(path, "mode=ro&immutable=1")


def _has_log(path: Path) -> bool:
    """Whether there is more to the store than the file itself."""
    log = Path(f"{path}-wal")
    return log.exists() and log.stat().st_size > 0


def _open_reader(path: Path, how: str) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"{path.absolute().as_uri()}?{how}", flags=flags)
    try:
        connection.set_busy_timeout(PATIENCE)
        version = _version(connection, path)
    except BaseException:
        connection.close(True)
        raise
    if version < len(migrations()):
        connection.close(True)
        raise StoreVersion(
            f"the store {path} has schema {version}, this runtime reads {len(migrations())}",
            hint="strata db migrate brings it up to date, as does the next server that starts",
        )
    return connection


def _prepare(connection: apsw.Connection, path: Path) -> None:
    if connection.readonly("main"):
        raise read_only(path)
    connection.set_busy_timeout(PATIENCE)
    _version(connection, path)
    connection.pragma("cache_size", CACHE)
    connection.pragma("journal_size_limit", LOG_KEPT)
    connection.pragma("synchronous", "FULL")
    mode = connection.pragma("journal_mode", "WAL")
    if mode != "wal":
        raise StoreUnavailable(
            f"the store {path} lies where SQLite cannot keep a write-ahead log (journal mode is {mode})",
            hint="put the store on a local disk",
        )


def _version(connection: apsw.Connection, path: Path) -> int:
    """The schema's number: 0 for an empty file."""
    version = connection.pragma("user_version")
    if connection.pragma("application_id") != APPLICATION:
        if version or connection.execute("SELECT count(*) FROM sqlite_schema").get:
            raise StoreUnavailable(
                f"{path} is a database of another program", hint="name another file for the store"
            )
        return 0
    if version > len(migrations()):
        raise StoreVersion(
            f"the store {path} has schema {version}, newer than the {len(migrations())} of this runtime",
            hint="use the version of the runtime that wrote it, or a newer one",
        )
    return int(version)


def _migrate(connection: apsw.Connection, path: Path) -> None:
    """Apply what is missing, all in one transaction."""
    if _version(connection, path) == len(migrations()):
        return
    connection.execute("BEGIN IMMEDIATE")
    for text in migrations()[_version(connection, path) :]:
        connection.execute(text)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {len(migrations())}")
    connection.execute("COMMIT")
