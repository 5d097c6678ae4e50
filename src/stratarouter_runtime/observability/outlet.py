"""Lines on their way to a stream, which nobody who writes one waits for.

What belongs to the ordinary course and comes within a few milliseconds is written together; what somebody
should look at, at once. A stream that takes no more, as a pipe that nobody reads, is tried again later,
and what does not fit meanwhile is lost and counted. Must never know: what a line says.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import select
import stat
import threading
from io import UnsupportedOperation
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ROOM: Final = 1 << 20
"""Bytes of lines that may wait for their stream."""

LINGER: Final = 0.005
"""Seconds that a line of the ordinary course may wait for others to be written with."""

LATER: Final = 0.1
"""Seconds until a stream that took no more is tried again."""


class Outlet:
    """Takes lines from any thread. Only one from within an event loop waits for others."""

    def __init__(self, stream: BinaryIO) -> None:
        self._put = _put_on(stream)
        self._waiting = bytearray()
        # Of one thread again and again: what the collector lets go of may have something to say at any moment.
        self._lock = threading.RLock()
        self._writing = False
        self._due: asyncio.AbstractEventLoop | None = None
        self._lost = 0
        atexit.register(self.flush)

    def write(self, line: bytes, *, at_once: bool) -> None:
        """Take a line, without its end."""
        loop = _running_loop()
        with self._lock:
            if len(self._waiting) + len(line) < ROOM:
                self._waiting += line
                self._waiting += b"\n"
            else:
                self._lost += 1
        if at_once or loop is None:
            self.flush()
        if self._waiting and loop is not None and self._due is not loop:
            self._due = loop
            loop.call_later(LINGER, self._end_wait, loop)

    def lost(self) -> int:
        """How many lines were lost since this was last asked with room for another; 0 while there is none."""
        if not self._lost or len(self._waiting) > ROOM // 2:
            return 0
        with self._lock:
            lost, self._lost = self._lost, 0
        return lost

    def flush(self) -> None:
        """Write what waits, as far as the stream takes it. Who is called while writing leaves it to that."""
        with self._lock:
            if self._writing:
                return
            self._writing = True
            try:
                while self._waiting and (taken := self._put(self._waiting)):
                    del self._waiting[:taken]
            finally:
                self._writing = False

    def _end_wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = None
        self.flush()
        if self._waiting:
            self._due = loop
            loop.call_later(LATER, self._end_wait, loop)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _put_on(stream: BinaryIO) -> Callable[[bytearray], int]:
    """What puts bytes on a stream and says how many it took; what cannot be written at all is taken too."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, UnsupportedOperation):
        return stream.write
    stream.flush()
    whole = stat.S_ISREG(os.fstat(descriptor).st_mode)
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)

    def put(waiting: bytearray) -> int:
        # A pipe that is ready takes so much without holding its writer up.
        part = waiting if whole else waiting[: select.PIPE_BUF]
        try:
            return os.write(descriptor, part) if whole or ready.poll(0) else 0
        except BlockingIOError:
            return 0
        except OSError:  # whoever read it has gone, or its disk is full: no reason to stop working
            return len(waiting)

    return put
