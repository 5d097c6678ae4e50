"""Starts a zygote and orders workers of it, without ever waiting for either on the event loop.

Must never know: what workers do, or when one is wanted.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from itertools import count
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from stratarouter_runtime.sandbox.walls import Walls
from stratarouter_runtime.sandbox.wire import Born, Ended, Order, Unborn

_LARGEST: Final = 4096
_PATIENCE: Final = 10.0
_AT_A_TIME: Final = 4
_PAUSE: Final = 0.005
_TRIES: Final = 200
_COMMAND: Final = (sys.executable, "-I", "-m", "stratarouter_runtime.sandbox.zygote")

_Message: TypeAlias = Born | Unborn | Ended


class Process(Struct, frozen=True):
    """A worker's process: `handle` is its pidfd, `ended` comes once it is reaped."""

    pid: int
    handle: int
    write_to: int
    read_from: int
    ended: asyncio.Future[Ended]


class _Birth(Struct, frozen=True):
    born: asyncio.Future[tuple[int, int]]
    ended: asyncio.Future[Ended]


class Zygotes:
    """One zygote, started when first needed and again when it is gone. Belongs to one event loop."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._births: dict[int, _Birth] = {}
        self._decode = msgspec.json.Decoder(_Message).decode
        self._reaping: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_AT_A_TIME)
        self.started = 0

    async def worker(self, program: str, walls: Walls) -> Process:
        """A new worker behind these walls. Raises `OSError` where it cannot be had."""
        # The zygote makes one after the other; ordering many at a time would only hold up the loop.
        async with self._room:
            return await self._worker(program, walls)

    async def _worker(self, program: str, walls: Walls) -> Process:
        control = self._control or self._start()
        loop = asyncio.get_running_loop()
        number, birth = next(self._numbers), _Birth(loop.create_future(), loop.create_future())
        inner_read, write_to = os.pipe2(os.O_CLOEXEC)
        read_from, inner_write = os.pipe2(os.O_CLOEXEC)
        self._births[number] = birth
        try:
            order = msgspec.json.encode(Order(number, program, walls))
            await self._send(control, order, [inner_read, inner_write])
            async with asyncio.timeout(_PATIENCE):
                pid, handle = await birth.born
        except BaseException:
            self._births.pop(number, None)
            os.close(write_to)
            os.close(read_from)
            raise
        finally:
            os.close(inner_read)
            os.close(inner_write)
        os.set_blocking(write_to, False)
        os.set_blocking(read_from, False)
        return Process(pid, handle, write_to, read_from, birth.ended)

    async def close(self) -> None:
        """End the zygote, and with it every worker."""
        if self._control is not None:
            self._lost()
        if self._reaping:
            await asyncio.wait(list(self._reaping))

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            # A descriptor of its own number; nothing else of ours is inherited, no variable either.
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*_COMMAND, str(theirs.fileno())],
                env={"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": "/"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
            )
        asyncio.get_running_loop().add_reader(ours.fileno(), self._heard)
        self._control = ours
        self.started += 1
        return ours

    async def _send(self, control: socket.socket, order: bytes, descriptors: list[int]) -> None:
        while True:
            try:
                socket.send_fds(control, [order], descriptors)
            except BlockingIOError:  # it is busy forking
                await asyncio.sleep(0.001)
            else:
                return

    def _heard(self) -> None:
        control = self._control
        while control is not None and control is self._control:
            try:
                message, descriptors, _, _ = socket.recv_fds(control, _LARGEST, 1)
            except BlockingIOError:
                return
            except OSError:
                message, descriptors = b"", []
            if not message:
                self._lost()
                return
            self._take(self._decode(message), descriptors)

    def _take(self, message: _Message, descriptors: list[int]) -> None:
        match message:
            case Born(number=number, pid=pid):
                birth = self._births.get(number)
                if birth is None or birth.born.done():
                    # Whoever ordered it has gone; its pipes are closed, so that it ends by itself.
                    os.close(descriptors[0])
                else:
                    birth.born.set_result((pid, descriptors[0]))
            case Unborn(number=number, why=why):
                birth = self._births.pop(number, None)
                if birth is not None and not birth.born.done():
                    birth.born.set_exception(OSError(why))
            case Ended(number=number):
                birth = self._births.pop(number, None)
                if birth is not None and not birth.ended.done():
                    birth.ended.set_result(message)

    def _lost(self) -> None:
        """The zygote is gone, and all workers with it; the next order starts another."""
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control.fileno())
            control.close()
        process, self._process = self._process, None
        if process is not None:
            reaping = asyncio.get_running_loop().create_task(_reaped(process))
            self._reaping.add(reaping)
            reaping.add_done_callback(self._reaping.discard)
        births, self._births = self._births, {}
        for number, birth in births.items():
            if not birth.born.done():
                birth.born.set_exception(ConnectionError("the zygote has ended"))
                # Not every order is waited for any more.
                birth.born.exception()
            if not birth.ended.done():
                birth.ended.set_result(Ended(number, 9, 0.0, 0))


async def _reaped(process: subprocess.Popen[bytes]) -> None:
    """Wait until it has ended, which it does by itself soon after its socket has closed."""
    for _ in range(_TRIES):
        if process.poll() is not None:
            return
        await asyncio.sleep(_PAUSE)
    process.kill()
    while process.poll() is None:  # noqa: ASYNC110 - the loop's own watcher would need a thread
        await asyncio.sleep(_PAUSE)
