"""One process owns a store: a lock of the kernel's on a file beside it, gone when the process is.

A record lock, because a child made by fork does not inherit it: a worker that outlives a
killed server does not keep the store from the next one. Such locks do not see a second
opening by the same process, so this module remembers its own. Must never know: databases.
"""

from __future__ import annotations

import fcntl
import os
from threading import Lock
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.errors import StoreLocked

if TYPE_CHECKING:
    from pathlib import Path

_OWNED: Final[set[str]] = set()
_GUARD: Final = Lock()


class Ownership:
    """The right to write a store, held until `release` or the end of the process.

    Taking it raises `StoreLocked`, naming the other process, or `OSError` where the lock
    file cannot be made.
    """

    def __init__(self, store: Path) -> None:
        self._name = os.path.realpath(f"{store}.lock")
        with _GUARD:
            if self._name in _OWNED:
                raise _locked(store, str(os.getpid()))
            self._descriptor = _take(self._name, store)
            _OWNED.add(self._name)

    def release(self) -> None:
        """Let the next owner in; again does nothing."""
        with _GUARD:
            if self._name in _OWNED:
                _OWNED.discard(self._name)
                os.close(self._descriptor)


def _take(name: str, store: Path) -> int:
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise _locked(store, owner) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _locked(store: Path, owner: str) -> StoreLocked:
    return StoreLocked(
        f"the store {store} is in use by process {owner or 'unknown'}",
        hint="stop that process, or name another store; reading does not need the lock",
    )
