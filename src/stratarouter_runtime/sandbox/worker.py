"""One worker as the server sees it: asked by a pipe, answering by a pipe, ended when it must be.

Nothing here waits on the event loop. Must never know: tenants, agents, or what a call means.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from stratarouter_runtime.sandbox import wire
from stratarouter_runtime.sandbox.breaches import Reason, died
from stratarouter_runtime.sandbox.wire import Ask, Tell
from stratarouter_runtime.sandbox.zygotes import Process
from stratarouter_runtime.state.events import Failure

_AROUND: Final = 8_192
"""Bytes of an answer beside its output: a message, numbers, the names of fields."""
_CPUCLOCK_SCHED: Final = 2
_PROCESS: Final = 0
_GROUP: Final = 4  # PIDFD_SIGNAL_PROCESS_GROUP
_STATUS: Final = 4_096
_PEAK: Final = b"VmHWM:"
_NOTHING: Final = 0.001
"""Seconds that are no use waiting for."""


class Bounds(Struct, frozen=True):
    """What one call may take: seconds of wall time and of CPU, bytes of output."""

    time: float
    cpu: float
    output: int


class Worker:
    """Belongs to the event loop it was made on. One call at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._held = bytearray()
        self._out = bytearray()
        self._waits = False
        """Whether the loop tells when more can be written."""
        self._most = _AROUND
        self._answer: asyncio.Future[Tell] | None = None
        self._number = 0
        self._reason: Reason | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._status = _opened(f"/proc/{process.pid}/status")
        self._decode = msgspec.json.Decoder(Tell).decode
        self.calls = 0
        self.rss = 0
        self.below = 0.0
        self.used = 0.0
        self.over = False
        self._loop.add_reader(process.read_from, self._readable)

    async def start(self, setup: bytes, bounds: Bounds) -> Failure | None:
        """Hand it what it needs; None once it is ready, else why it will never be."""
        told = await self._exchange(0, setup, bounds)
        self.look()
        if isinstance(told, Failure):
            return told
        return Failure(told.kind, told.message) if told.kind else None

    async def call(self, ask: Ask, bounds: Bounds) -> Tell | Failure:
        """Its answer, or why there is none; then it is over. A call that is cancelled ends it."""
        self.calls += 1
        return await self._exchange(ask.number, msgspec.json.encode(ask), bounds)

    def kill(self, reason: Reason) -> None:
        """End it now; nothing it does can prevent that."""
        self._reason = self._reason or reason
        self.over = True
        self._end()

    def _end(self) -> None:
        """End the process, and what it started, which is in the group that bears its number."""
        for scope in (_PROCESS, _GROUP):
            # A group is reached by its handle from Linux 6.9 on; until then the zygote sees to it.
            with suppress(OSError):
                signal.pidfd_send_signal(self._process.handle, signal.SIGKILL, None, scope)

    async def gone(self) -> wire.Ended:
        """Wait until it is reaped; what it used."""
        return await asyncio.shield(self._process.ended)

    def close(self) -> None:
        """Let go of its pipes and handle; it is ended where it was not."""
        self.kill("closing")
        self._loop.remove_reader(self._process.read_from)
        self._loop.remove_writer(self._process.write_to)
        process = self._process
        for descriptor in (process.read_from, process.write_to, process.handle, self._status):
            if descriptor >= 0:
                os.close(descriptor)

    def look(self) -> float:
        """Seconds of CPU that it has used since it was last looked at, as the kernel counts."""
        before, self.used = self.used, self._cpu()
        self.rss = self._peak()
        return self.used - before

    def taken(self, seconds: float, most: float) -> tuple[float, int]:
        """Seconds of CPU and the most KiB of memory, where `seconds` were counted while it lived.

        Of one that has ended the kernel tells both, with what it started and waited for. Of one that
        lives the CPU of what it started is its word, as far as that makes no more than `most` in all.
        """
        if not self._process.ended.done():
            return max(seconds, min(seconds + self.below, most)), self.rss
        ended = self._process.ended.result()
        return max(seconds, ended.cpu - self.used), ended.rss

    def rested(self) -> float:
        """The same, without looking."""
        return self._cpu() - self.used

    def _cpu(self) -> float:
        """Seconds of CPU it has used so far; once it is gone, as many as when it was last looked at."""
        try:
            # A clock of another process: the form of its number is that of clock_getcpuclockid(3).
            return time.clock_gettime((~self._process.pid << 3) | _CPUCLOCK_SCHED)
        except OSError:
            return self.used

    def _peak(self) -> int:
        """The most KiB that it ever held; once it is gone, as many as when it was last looked at."""
        with suppress(OSError):
            status = os.pread(self._status, _STATUS, 0)
            place = status.find(_PEAK)
            if place >= 0:
                return int(status[place + len(_PEAK) : status.find(b"kB", place)])
        return self.rss

    async def _exchange(self, number: int, document: bytes, bounds: Bounds) -> Tell | Failure:
        answer: asyncio.Future[Tell] = self._loop.create_future()
        self._answer = answer
        self._number, self._most = number, bounds.output + _AROUND
        self._watch(self._loop.time() + bounds.time, self.used + bounds.cpu, min(bounds.time, bounds.cpu))
        try:
            self._write(wire.frame(document))
            return await answer
        except _Over:
            ended = await self.gone()
            return died(ended.status, self._reason)
        except asyncio.CancelledError:
            self.kill("withdrawn")
            raise
        finally:
            self._answer = None
            if self._timer is not None:
                self._timer.cancel()

    def _watch(self, time_up: float, cpu_up: float, soonest: float) -> None:
        """Look in `soonest` seconds, when it can have used up the one or the other; end it where it has."""
        self._timer = self._loop.call_later(soonest, self._looked, time_up, cpu_up)

    def _looked(self, time_up: float, cpu_up: float) -> None:
        time_left, cpu_left = time_up - self._loop.time(), cpu_up - self._cpu()
        if time_left <= _NOTHING:
            self.kill("time")
        elif cpu_left <= _NOTHING:
            self.kill("cpu")
        else:
            self._watch(time_up, cpu_up, min(time_left, cpu_left))

    def _write(self, data: bytes) -> None:
        self._out += data
        self._writable()

    def _writable(self) -> None:
        try:
            written = os.write(self._process.write_to, self._out)
        except BlockingIOError:
            written = 0
        except OSError:  # it has ended: whoever waits hears that from its other pipe
            self._out.clear()
            written = 0
        del self._out[:written]
        if bool(self._out) is self._waits:
            return
        self._waits = not self._waits
        if self._waits:
            self._loop.add_writer(self._process.write_to, self._writable)
        else:
            self._loop.remove_writer(self._process.write_to)

    def _readable(self) -> None:
        try:
            chunk = os.read(self._process.read_from, wire.CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._ended()
            return
        if not self.over:  # else it is being ended: nothing that it says counts any more
            self._hear(chunk)

    def _hear(self, chunk: bytes) -> None:
        self._held += chunk
        if self._answer is None:
            # Nobody asked; kept, it would be taken for the beginning of an answer to the next call.
            self._held.clear()
            self.kill("protocol")
            return
        if len(self._held) < wire.HEADER:
            return
        end = wire.HEADER + wire.length(self._held)
        if end - wire.HEADER > self._most:
            self._held.clear()
            self.kill("output")
        elif len(self._held) >= end:
            # Handed over as it is: to copy some megabytes would hold up the loop.
            held, self._held = self._held, bytearray()
            self._told(memoryview(held)[wire.HEADER : end])
            if len(held) > end:
                self.kill("protocol")

    def _told(self, document: memoryview) -> None:
        """An answer, where one is waited for and it is to this call; anything else is not played along with."""
        try:
            told = self._decode(document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.kill("protocol")
            return
        if self._answer is None or self._answer.done() or told.number != self._number:
            self.kill("protocol")
            return
        self.below = told.cpu
        self._answer.set_result(told)

    def _ended(self) -> None:
        self.over = True
        self._loop.remove_reader(self._process.read_from)
        if not self._process.ended.done():
            # It may have closed its pipe and live on.
            self._end()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_Over())


def _opened(path: str) -> int:
    """A file to read, of the process that has this number now; -1 where there is none any more."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


class _Over(Exception):
    """The worker has ended before it answered."""
