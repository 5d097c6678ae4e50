"""A store's file as a whole: which schema it has, and a copy of it as it stands.

Must never know: what is in it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw

from stratarouter_runtime.errors import InvalidInput, StoreUnavailable
from stratarouter_runtime.storage.sqlite.connection import APPLICATION, PATIENCE
from stratarouter_runtime.storage.sqlite.faults import speaking_of

if TYPE_CHECKING:
    from pathlib import Path


def schema_of(path: Path) -> int:
    """The number of a file's schema; 0 where there is no file, or none in it. Raises `StoreError`."""
    if not path.is_file():
        return 0
    connection = _open(path)
    try:
        with speaking_of(path):
            ours = connection.pragma("application_id") == APPLICATION
            return int(connection.pragma("user_version")) if ours else 0
    finally:
        connection.close(True)


def backup(path: Path, target: Path) -> int:
    """Copy a store to a new file, all that was committed when it began; the bytes of the copy.

    Nobody is held up: who writes goes on in the log beside the file. The copy has its name only
    once it is whole and synced. Raises `InvalidInput` where the target exists or its folder does
    not, and `StoreError`.
    """
    if target.exists():
        raise InvalidInput(f"{target} exists already", hint="name a new file: a copy replaces none")
    if not target.parent.is_dir():
        raise InvalidInput(f"there is no folder {target.parent}", hint="make it first, or name another")
    if not schema_of(path):
        raise StoreUnavailable(f"there is no store {path}", hint="name the file of an existing store")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with speaking_of(path):
            _copy(path, part)
        _sync(part)
        os.link(part, target)
        _sync(target.parent)
    except OSError as error:
        raise StoreUnavailable(
            f"the copy {target} cannot be written: {error.strerror}", hint="name a file in a folder of yours"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(path: Path, part: Path) -> None:
    source, copy = _open(path), apsw.Connection(str(part))
    try:
        # In one step, which is one look at the store: however much is written meanwhile, it is not begun anew.
        with copy.backup("main", source, "main") as work:
            work.step(-1)
        copy.pragma("journal_mode", "DELETE")
    finally:
        copy.close(True)
        source.close(True)


def _open(path: Path) -> apsw.Connection:
    with speaking_of(path):
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(f"{path.absolute().as_uri()}?mode=ro", flags=flags)
        connection.set_busy_timeout(PATIENCE)
        return connection


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
