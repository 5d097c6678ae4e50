"""Which calls of the system the lists do not allow, by number, and what has to become of each.

Must never know: how a call is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

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
    """Every number that has to end who calls it, whether or not programs may be started."""
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
