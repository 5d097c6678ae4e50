"""What this process takes of the machine, and how late its event loop is.

Read from the system when asked for. Must never know: what the process does.
"""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from msgspec import Struct

from stratarouter_runtime.tally import Distribution, Histogram

TICK: Final = 0.5
"""Seconds between two looks at the loop."""

_FILES: Final = Path("/proc/self/fd")


class ProcessStats(Struct, frozen=True):
    """One process at one moment; `started` is in seconds since the epoch."""

    build: Mapping[str, int]
    started: float
    cpu_seconds: float
    memory: int
    files: int
    max_files: int
    threads: int


class Process:
    """This process. `started` is when it began, in microseconds since the epoch.

    Its `version` is asked for once, with the first look, and the bytes of `memory` it takes with each.
    """

    def __init__(self, version: Callable[[], str], started: int, memory: Callable[[], int]) -> None:
        self._version = cache(version)
        self._memory = memory
        self._started = started / 1_000_000

    def stats(self) -> ProcessStats:
        """What the system says now; 0 where it does not say."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return ProcessStats(
            build={self._version(): 1},
            started=self._started,
            cpu_seconds=used.ru_utime + used.ru_stime,
            memory=self._memory(),
            files=_open_files(),
            max_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            threads=threading.active_count(),
        )


class LoopStats(Struct, frozen=True):
    """How late the loop was, in seconds."""

    delay: Distribution


class Loop:
    """Looks at the event loop it is started on, again and again."""

    def __init__(self) -> None:
        self._delay = Histogram()
        self.last = 0.0
        """Seconds that the loop was late when it was looked at last."""

    def stats(self) -> LoopStats:
        """How late it was so far."""
        return LoopStats(self._delay.snapshot())

    async def watch(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            self.last = max(0.0, loop.time() - due)
            self._delay.observe(self.last)


def _open_files() -> int:
    with suppress(OSError):
        return len(os.listdir(_FILES))  # noqa: PTH208 - names are enough; a Path for each is not needed
    return 0
