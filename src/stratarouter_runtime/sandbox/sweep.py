"""Makes every call of the system that the lists do not allow, and says what the kernel answered.

Runs as the program of a worker. Must never know: what should be answered.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any, Final

from stratarouter_runtime.sandbox import kernel
from stratarouter_runtime.sandbox.filter import ECHILD, ENONET, ENOSYS, EPERM
from stratarouter_runtime.sandbox.syscalls import ALLOWED, KILLED, MACHINES, PROCESSES

LAST: Final = 480
"""Some numbers beyond the last call that a kernel knows today."""
UNSEEN: Final = frozenset({335, 336})
"""On x86_64, two calls by which the kernel probes programs pass every filter by design, and do nothing."""
REFUSED: Final = frozenset({EPERM, ENONET, ECHILD, ENOSYS})

_JUDGED: Final = frozenset({"prlimit64", "fcntl"})
"""Allowed with the arguments that a sweep gives."""
_SPAWNING: Final = PROCESSES | {"clone", "pidfd_open", "sendto", "recvfrom"}


def refused_numbers(*, spawning: bool = False) -> tuple[int, ...]:
    """Every number that has to be answered with an error."""
    return tuple(_numbers(ended=False, spawning=spawning))


def ended_numbers() -> tuple[int, ...]:
    """Every number that has to end who calls it."""
    return tuple(_numbers(ended=True, spawning=False))


def _numbers(*, ended: bool, spawning: bool) -> Iterator[int]:
    machine = MACHINES[kernel.machine()]
    names = {number: name for name, number in machine.numbers.items()}
    answered = ALLOWED | _JUDGED | (_SPAWNING if spawning else frozenset())
    for number in range(LAST):
        name = names.get(number, "")
        probing = number in UNSEEN and kernel.machine() == "x86_64"
        if name not in answered and not probing and (name in KILLED) is ended:
            yield number


def load() -> None:
    """Nothing takes long."""


def start(_: Any) -> Callable[[Any], Any]:
    """Answers with the error number of each call in `input.numbers`, 0 where it was carried out."""
    library = ctypes.CDLL(None, use_errno=True)

    def answer(ask: Any) -> list[int]:
        return [_error(library, number) for number in ask.input["numbers"]]

    return answer


def _error(library: ctypes.CDLL, number: int) -> int:
    nothing = ctypes.c_long(0)
    result = library.syscall(ctypes.c_long(number), nothing, nothing, nothing, nothing, nothing, nothing)
    return ctypes.get_errno() if result == -1 else 0
