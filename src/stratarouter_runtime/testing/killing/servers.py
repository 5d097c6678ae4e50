"""Server processes: begun, killed, begun again on the same port.

Must never know: what they are asked.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

WAIT: Final = 60.0
"""Seconds that a server may take to say where it answers, on a busy machine."""

_TAKEN_UP: Final = re.compile(r"taken up again: (\d+)")


class Start(Struct, frozen=True):
    """One start: the seconds until it served, and how many executions it had taken up by then."""

    seconds: float
    taken_up: int


class Serving:
    """One server process at a time, always at the same address.

    `shared` says that others serve from the same store.
    """

    def __init__(self, project: Path, store: str, log: Path, *, shared: bool = False) -> None:
        self._project = project
        self.store = store
        self.shared = shared
        self.log = log
        self._port = _free_port()
        self._process: subprocess.Popen[str] | None = None
        self.starts: list[Start] = []
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._process is not None
        return self._process.pid

    def files(self) -> list[Path]:
        """The files of its store."""
        store = Path(self.store)
        return sorted(store.parent.glob(f"{store.name}*"))

    def begin(self) -> None:
        """Begin it; returns once it serves. Raises `AssertionError` with what it said otherwise."""
        inherited = os.environ  # noqa: TID251 - a child inherits the environment
        database = "://" in self.store
        command = [sys.executable, "-m", "stratarouter_runtime", "serve", str(self._project)]
        began = time.monotonic()
        with self.log.open("a", encoding="utf-8") as lines:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [
                    *command,
                    "--port",
                    str(self._port),
                    "--dev",
                    *([] if database else ["--store", self.store]),
                ],
                cwd=self._project,
                env={**inherited, **({"DATABASE_URL": self.store} if database else {})},
                stdout=subprocess.PIPE,
                stderr=lines,
                text=True,
            )
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], WAIT)[0], "a server says nothing"
        line = self._process.stdout.readline()
        found = _TAKEN_UP.search(line)
        assert found is not None, self.log.read_text(encoding="utf-8")
        self.starts.append(Start(time.monotonic() - began, int(found[1])))

    def kill(self) -> None:
        """Kill it: no line of it runs any more."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.communicate(timeout=WAIT)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
