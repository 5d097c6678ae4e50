"""A disk between SQLite and the real one, which counts what is synced and fails on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw
from typing_extensions import override

BASE = "unix"


class Disk(apsw.VFS):
    """All files opened while it is the default.

    A fault is raised by every write, by every sync, or by every write to the database file
    itself, which only checkpoints do. `log_room` is the length to which the log may grow.
    """

    def __init__(self, name: str) -> None:
        self.syncs = 0
        self.write_fault: apsw.Error | None = None
        self.sync_fault: apsw.Error | None = None
        self.checkpoint_fault: apsw.Error | None = None
        self.log_room: int | None = None
        super().__init__(name, BASE, makedefault=True)

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._main = bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)
        self._log = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        super().__init__(BASE, name, flags)

    @override
    def xWrite(self, data: bytes, offset: int) -> None:
        if self._disk.write_fault is not None:
            raise self._disk.write_fault
        if self._main and self._disk.checkpoint_fault is not None:
            raise self._disk.checkpoint_fault
        room = self._disk.log_room
        if self._log and room is not None and offset + len(data) > room:
            raise apsw.FullError("the log may not grow")
        super().xWrite(data, offset)

    @override
    def xSync(self, flags: int) -> None:
        if self._disk.sync_fault is not None:
            raise self._disk.sync_fault
        self._disk.syncs += 1
        super().xSync(flags)


@contextmanager
def between() -> Iterator[Disk]:
    """Put a new disk between SQLite and the files that are opened meanwhile."""
    disk = Disk("between")
    try:
        yield disk
    finally:
        disk.unregister()
