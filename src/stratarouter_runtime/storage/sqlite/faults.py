"""What SQLite's errors mean to whoever runs the store.

Must never know: what was being done when they came.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import apsw

from stratarouter_runtime.errors import (
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def translated(error: Exception, path: Path, system_errno: int = 0) -> StoreError:
    """The store's own error for one of SQLite's; `system_errno` tells a full disk from a broken one."""
    match error:
        case apsw.FullError():
            return full(path)
        case apsw.IOError() | apsw.CantOpenError() if system_errno in NO_ROOM:
            return full(path)
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            return read_only(path)
        case apsw.BusyError() | apsw.LockedError():
            return StoreLocked(
                f"the store {path} is busy in another program",
                hint="close the program that has the file open for writing, then try again",
            )
        case apsw.NotADBError():
            return StoreUnavailable(
                f"{path} is not a database", hint="name another file, or restore this one from a copy"
            )
        case apsw.CorruptError():
            return StoreUnavailable(
                f"the store {path} is damaged: {error}", hint="restore it from a copy; do not write to it"
            )
        case apsw.CantOpenError():
            return StoreUnavailable(
                f"the store {path} cannot be opened",
                hint="name a file in it" if path.is_dir() else "check that the folder exists and may be used",
            )
        case _:
            return StoreUnavailable(
                f"the store {path} failed: {error}", hint="check the disk; what was acknowledged is kept"
            )


def full(path: Path) -> StoreFull:
    """No room is left for the store."""
    return StoreFull(
        f"no room is left for the store {path}",
        hint="free some space on its disk; what was acknowledged is kept",
    )


def read_only(path: Path) -> StoreReadOnly:
    """The store may not be written."""
    return StoreReadOnly(
        f"the store {path} may be read but not written",
        hint="give this user the right to write the file and its folder, or name another store",
    )


@contextmanager
def speaking_of(path: Path) -> Iterator[None]:
    """Turn SQLite's errors inside the block into the store's own."""
    try:
        yield
    except apsw.Error as error:
        raise translated(error, path) from error
