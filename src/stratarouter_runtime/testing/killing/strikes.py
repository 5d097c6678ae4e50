"""What a server that serves may meet: it is killed, stopped, and kept from opening or writing files.

Each strike ends with the server serving again. Must never know: what clients do meanwhile.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random  # noqa: TID251 - seeded by the caller: the same draws every time
from typing import Final, TypeAlias

from stratarouter_runtime.testing.killing.servers import Serving

Strike: TypeAlias = Callable[[Serving, Random], None]

LIES: Final = 0.3
"""Seconds that a killed server lies there at most, where others serve meanwhile."""

STOPS: Final = 6.0
"""Seconds that a server is stopped at most: twice a lease."""

STARVES: Final = 1.0
"""Seconds that it is short of something at most."""

SMALL: Final = 64 << 20
"""Bytes of a file system that is nobody else's."""


def killed(server: Serving, chance: Random) -> None:
    """Killed, and begun again."""
    server.kill()
    if server.shared:
        time.sleep(chance.random() * LIES)
    server.begin()


def stopped(server: Serving, chance: Random) -> None:
    """Stopped, for longer than its lease or not, and let go on."""
    os.kill(server.pid, signal.SIGSTOP)
    time.sleep(chance.random() * STOPS)
    os.kill(server.pid, signal.SIGCONT)


def starved(server: Serving, chance: Random) -> None:
    """For a while it can open no file, and take no connection."""
    with _limited(server.pid, resource.RLIMIT_NOFILE, _open_files(server.pid)):
        time.sleep(chance.random() * STARVES)


def cramped(server: Serving, chance: Random) -> None:
    """For a while no file of it may grow: a file-size limit, which needs no rights."""
    largest = max(path.stat().st_size for path in server.files())
    with _limited(server.pid, resource.RLIMIT_FSIZE, largest):
        time.sleep(chance.random() * STARVES)


def filled(server: Serving, chance: Random) -> None:
    """For a while the file system of its store is full. Raises `AssertionError` for one that is large."""
    folder = server.files()[0].parent
    assert shutil.disk_usage(folder).total < SMALL, f"{folder} is on a file system that others use"
    ballast = folder / "ballast"
    try:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.tell() < SMALL:
                file.write(bytes(4096))
        time.sleep(chance.random() * STARVES)
    finally:
        ballast.unlink()


STRIKES: Final[dict[str, Strike]] = {
    "killed": killed,
    "stopped": stopped,
    "starved": starved,
    "cramped": cramped,
}
"""Those that need nothing but a server."""


def _open_files(pid: int) -> int:
    return len([*Path(f"/proc/{pid}/fd").iterdir()])


@contextmanager
def _limited(pid: int, what: int, least: int) -> Iterator[None]:
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (least, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, what, before)
