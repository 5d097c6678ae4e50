"""Builds the filter of system calls: a program for the kernel's packet machine, checked in order.

The form of an instruction and of the data it reads is `linux/filter.h` and `linux/seccomp.h`.
Must never know: how a filter is put in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from struct import Struct as Layout
from typing import Final

from stratarouter_runtime.sandbox.syscalls import ALLOWED, KILLED, MACHINES, NETWORK, PROCESSES, Machine

ENONET: Final = 64
ECHILD: Final = 10
EPERM: Final = 1
ENOSYS: Final = 38

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_INSTRUCTION: Final = Layout("=HBBI")

_SOMEBODY: Final = 0x5EED1DEA
"""Stands for the number of the process, which is larger than any."""
_CLONE_THREAD: Final = 0x00010000
_NEW_NAMESPACES: Final = 0x7E020080
_PRCTL: Final = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (names of mappings)
_ON_DEATH: Final = 1  # PR_SET_PDEATHSIG
_FCNTL: Final = (*range(8), 36, 37, 38, 1030, 1032)
"""Copies and flags of descriptors, locks, the size of a pipe; not who is signalled when one is ready."""
_PAIRED: Final = frozenset({"socketpair", "sendto", "recvfrom"})
_OUT_OF_BAND: Final = 1  # MSG_OOB
_STREAMS: Final = tuple(
    1 | flags for flags in (0, 0x800, 0x80000, 0x80800)
)  # SOCK_STREAM, and how it is opened
_IOCTL: Final = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # whether it is a terminal; of descriptors


def errno(number: int) -> int:
    """The verdict that answers a call with this error number."""
    return _ERRNO | number


def build(machine: Machine, pid: int, *, spawning: bool = False) -> bytes:
    """The filter for the process `pid`; with `spawning` it may start programs, in its namespaces."""
    return _template(machine.audit, spawning).replace(_step(_EQUAL, _SOMEBODY)[4:], _step(_EQUAL, pid)[4:])


@cache
def _template(audit: int, spawning: bool) -> bytes:  # noqa: FBT001 - a key of the cache
    """The filter for a process whose number is not known yet."""
    machine = next(each for each in MACHINES.values() if each.audit == audit)
    pid = _SOMEBODY
    program = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, machine.audit, yes=1),
        _step(_RETURN, KILL),
        _step(_LOAD, _NUMBER),
    ]
    if machine.foreign:
        program += [_step(_AT_LEAST, machine.foreign, no=1), _step(_RETURN, KILL)]
    for names, verdict in _verdicts(spawning=spawning):
        program += _answer(machine, sorted(names), verdict)
    for name, body in _judged(pid, spawning=spawning):
        if name in machine.numbers:
            program += [_step(_EQUAL, machine.numbers[name], no=len(body)), *body]
    return b"".join([*program, _step(_RETURN, errno(EPERM))])


def _verdicts(*, spawning: bool) -> Iterable[tuple[frozenset[str], int]]:
    yield ALLOWED, ALLOW
    yield NETWORK - _PAIRED if spawning else NETWORK, errno(ENONET)
    yield PROCESSES, ALLOW if spawning else errno(ECHILD)
    yield KILLED, KILL


def _judged(pid: int, *, spawning: bool) -> Iterable[tuple[str, list[bytes]]]:
    """The calls that depend on what they are given; each body ends in an answer, whatever that is."""
    if spawning:
        # Two ends of a stream in one process reach nobody, and run-times wake themselves by them.
        yield "socketpair", _where(1, _STREAMS, ALLOW, ENONET)
        # A descriptor of a child to wait for; no signal goes through it.
        for name in ("sendto", "recvfrom"):
            # What is out of band goes ways in the kernel that few have looked at.
            yield name, _unless_any_bit(3, _OUT_OF_BAND, errno(EPERM), ALLOW)
        yield "pidfd_open", [_step(_RETURN, ALLOW)]
        yield "clone", _unless_any_bit(0, _NEW_NAMESPACES, KILL, ALLOW)
    else:
        yield "clone", _unless_any_bit(0, _CLONE_THREAD, ALLOW, errno(ECHILD))
    yield "tgkill", _where(0, [pid], ALLOW, EPERM)
    # The C library falls back to `clone`, whose flags a filter can read.
    yield "clone3", [_step(_RETURN, errno(ENOSYS))]
    # What is started may ask to end with who started it.
    yield "prctl", _where(0, (*_PRCTL, _ON_DEATH) if spawning else _PRCTL, ALLOW, EPERM)
    yield "fcntl", _where(1, _FCNTL, ALLOW, EPERM)
    yield "ioctl", _where(1, _IOCTL, ALLOW, EPERM)
    yield "prlimit64", _where(0, [0, pid], ALLOW, EPERM)


def _answer(machine: Machine, names: list[str], verdict: int) -> list[bytes]:
    """One answer for all of these calls. A jump reaches 255 steps, which no group of ours does."""
    numbers = [machine.numbers[name] for name in names if name in machine.numbers]
    return [*_towards(numbers), _step(_RETURN, verdict)]


def _towards(group: list[int]) -> list[bytes]:
    last = len(group) - 1
    return [
        _step(_EQUAL, number, yes=last - place, no=1 if place == last else 0)
        for place, number in enumerate(group)
    ]


def _where(argument: int, values: Iterable[int], verdict: int, otherwise: int) -> list[bytes]:
    """`verdict` where the argument (its low half) is one of `values`, else an error number."""
    some = list(values)
    return [
        _step(_LOAD, _low(argument)),
        *_towards(some),
        _step(_RETURN, verdict),
        _step(_RETURN, errno(otherwise)),
    ]


def _unless_any_bit(argument: int, bits: int, verdict: int, otherwise: int) -> list[bytes]:
    """`verdict` where the argument has any of these bits, else the other verdict."""
    return [
        _step(_LOAD, _low(argument)),
        _step(_ANY_BIT, bits, no=1),
        _step(_RETURN, verdict),
        _step(_RETURN, otherwise),
    ]


def _low(argument: int) -> int:
    """Where the low half of an argument stands (little-endian machines only)."""
    return 16 + 8 * argument


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, yes, no, value)
