"""A small, clean process of one thread that forks workers, reaps them, and tells what they used.

It ends when its socket closes, and its workers with it. Started by `python -I -m` in an empty
environment, so that nothing of the server can be found in a worker. Must never know: what workers
are asked.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
from typing import Final, cast

import msgspec

from stratarouter_runtime.sandbox import box, inside, wire

_LARGEST: Final = 65_536
_NICE: Final = 5
"""Workers give way to the server where there are too few processors for both."""
_FAILED: Final = 121
"""The exit code of a worker that could not be boxed."""


class Zygote:
    """Forks one worker for each order that comes by `control`."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._numbers: dict[int, int] = {}
        self._orders = msgspec.json.Decoder(wire.Order)
        self._woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakes)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Serve until the socket closes; then end every worker, with what it started."""
        try:
            self._serve()
        finally:
            for pid in self._numbers:
                _end_group(pid)

    def _serve(self) -> None:
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        waiting.register(self._woken, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in waiting.poll()}
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._take():
                return

    def _take(self) -> bool:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, _LARGEST, 2)
        except ConnectionError:
            return False
        if not message:
            return False
        self._fork(self._orders.decode(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _fork(self, order: wire.Order, pipes: list[int]) -> None:
        program = _program(order.program)
        try:
            pid = os.fork()
        except OSError as error:  # no more processes just now; those that live know nothing of it
            self._send(wire.Unborn(order.number, str(error)))
            return
        if pid == 0:
            _become_worker(order, program, pipes)
        self._numbers[pid] = order.number
        try:
            process = os.pidfd_open(pid)
        except OSError as error:
            # Not reaped yet, so that the number is still its own.
            os.kill(pid, signal.SIGKILL)
            self._send(wire.Unborn(order.number, str(error)))
            return
        self._send(wire.Born(order.number, pid), process)
        os.close(process)

    def _reap(self) -> None:
        while self._numbers:
            done = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if done is None:
                return
            # What it started is in its group, whose number is free only once it is reaped.
            _end_group(done.si_pid)
            pid, status, usage = os.wait4(done.si_pid, 0)
            number = self._numbers.pop(pid)
            self._send(wire.Ended(number, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))

    def _send(self, message: wire.Born | wire.Unborn | wire.Ended, process: int | None = None) -> None:
        carried = (
            [] if process is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [process]))]
        )
        with contextlib.suppress(BrokenPipeError, ConnectionError):  # nobody is left to hear it
            self._control.sendmsg([msgspec.json.encode(message)], carried)


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _program(name: str) -> inside.Program | None:
    """The program, imported once for all workers; None where that fails."""
    try:
        program = cast("inside.Program", importlib.import_module(name))
        program.load()
    except Exception:  # noqa: BLE001 - its worker will end at once, and no other suffers
        return None
    return program


def _become_worker(order: wire.Order, program: inside.Program | None, pipes: list[int]) -> None:
    """Hold two pipes and nothing else, step into the box, serve, and never come back."""
    code = _FAILED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        read_from, write_to = _only(pipes)
        box.enter(order.walls)
        if program is None:
            raise ImportError(order.program)
        code = 0
        inside.serve(program, read_from, write_to)
    except BrokenPipeError:
        pass
    finally:
        os._exit(code)


def _only(pipes: list[int]) -> tuple[int, int]:
    """Close all but these two, which become 3 and 4; the standard streams lead nowhere."""
    high = [os.dup2(pipe, 1000 + place, inheritable=False) for place, pipe in enumerate(pipes)]
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    os.closerange(3, 1000)
    low = [os.dup2(pipe, 3 + place, inheritable=False) for place, pipe in enumerate(high)]
    os.closerange(5, 1010)
    return low[0], low[1]


def main(control: int) -> None:
    """Serve on an inherited socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICE)
    box.prepare()
    inside.rehearse()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=control) as listening:
        Zygote(listening).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
