"""Attacks on whoever stands beside: other workers, the kernel's rarer doors, what all share.

Like the other probes, each answers with what it got, and what is stopped raises or dies. Imports the
standard library only. Must never know: what stops it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

_PTRACE_SEIZE: Final = 0x4206
_EXEC_EMPTY_PATH: Final = 0x1000
_NUMBERS: Final = {  # memfd_create, userfaultfd, keyctl, perf_event_open, bpf, process_vm_readv
    "x86_64": {"memfd": 319, "faults": 323, "keys": 250, "perf": 298, "bpf": 321, "copy": 310, "exec": 322},
    "aarch64": {"memfd": 279, "faults": 282, "keys": 219, "perf": 241, "bpf": 280, "copy": 270, "exec": 281},
}
_PIPE_SIZE: Final = 1 << 20

Facts = Mapping[str, Any]


def _call(name: str, *arguments: Any) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    number = _NUMBERS[os.uname().machine][name]
    result = int(library.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def sibling_environment(facts: Facts) -> bytes:
    """The environment of another tenant's worker, as the kernel shows it."""
    return Path(f"/proc/{facts['sibling']}/environ").read_bytes()


def sibling_memory(facts: Facts) -> int:
    """The memory of another tenant's worker, as the kernel shows it."""
    return os.open(f"/proc/{facts['sibling']}/mem", os.O_RDWR)


def sibling_copied(facts: Facts) -> int:
    """The memory of another tenant's worker, as the kernel copies it."""
    place = (ctypes.c_uint64 * 2)(id(facts), 8)
    return _call("copy", facts["sibling"], ctypes.byref(place), 1, ctypes.byref(place), 1, 0)


def sibling_descriptors(facts: Facts) -> list[str]:
    """The pipes by which another tenant's worker answers."""
    return os.listdir(f"/proc/{facts['sibling']}/fd")  # noqa: PTH208 - a call of the kernel, and no more


def sibling_folder(facts: Facts) -> list[str]:
    """The working folder of another tenant's worker."""
    return os.listdir(f"/proc/{facts['sibling']}/cwd/")  # noqa: PTH208 - likewise


def ptrace_sibling(facts: Facts) -> int:
    """Trace another tenant's worker."""
    result = int(ctypes.CDLL(None, use_errno=True).ptrace(_PTRACE_SEIZE, facts["sibling"], None, None))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def signal_sibling(facts: Facts) -> str:
    """A signal to another tenant's worker, one that would do no harm."""
    os.kill(facts["sibling"], signal.SIGURG)
    return "sent"


def signal_everybody(_: Facts) -> str:
    """The same to every process of this user."""
    os.kill(-1, signal.SIGURG)
    return "sent"


def signal_by_descriptor(facts: Facts) -> str:
    """A signal that the kernel sends to another tenant's worker when a pipe of this one is ready."""
    read_from, write_to = os.pipe()
    fcntl.fcntl(read_from, fcntl.F_SETOWN, facts["sibling"])
    fcntl.fcntl(read_from, 10, signal.SIGURG)  # F_SETSIG
    fcntl.fcntl(read_from, fcntl.F_SETFL, fcntl.fcntl(read_from, fcntl.F_GETFL) | os.O_ASYNC)
    os.write(write_to, b"x")
    return "sent"


def slow_sibling(facts: Facts) -> str:
    """Another tenant's worker kept to one processor, and behind all others."""
    os.sched_setaffinity(facts["sibling"], {0})
    return "kept"


def server_arguments(facts: Facts) -> bytes:
    """The arguments that the server was started with."""
    return Path(f"/proc/{facts['server']}/cmdline").read_bytes()


def own_memory(_: Facts) -> int:
    """This process's memory as a file, which writes where nothing may be written."""
    return os.open("/proc/self/mem", os.O_RDWR)


def program_in_memory(_: Facts) -> int:
    """A program that lies in no file system."""
    file = _call("memfd", b"program", 0)
    os.write(file, Path("/bin/true").read_bytes())
    nothing = (ctypes.c_char_p * 1)(None)
    return _call("exec", file, b"", nothing, nothing, _EXEC_EMPTY_PATH)


def page_faults(_: Facts) -> int:
    """Page faults of the kernel, held up at will."""
    return _call("faults", 0)


def keyring(_: Facts) -> int:
    """Keys that all processes of a user share."""
    return _call("keys", 0, ctypes.c_long(-4), 0)


def counters(_: Facts) -> int:
    """Counters of the processor, which tell what others do."""
    return _call("perf", ctypes.create_string_buffer(128), 0, -1, -1, 0)


def kernel_program(_: Facts) -> int:
    """A program for the kernel."""
    return _call("bpf", 5, ctypes.create_string_buffer(128), 128)


def change_mode(facts: Facts) -> str:
    """The database of the server, for everybody to read: no file is opened for that."""
    Path(facts["store"]).chmod(0o777)
    return "changed"


def change_times(facts: Facts) -> str:
    """The database of the server, as old as the epoch."""
    os.utime(facts["store"], (0, 0))
    return "changed"


def link_out(facts: Facts) -> str:
    """A link in the working folder that leads to the server's database."""
    Path("link").symlink_to(facts["store"])
    return Path("link").read_text(encoding="utf-8")


def inherited(_: Facts) -> list[int]:
    """Descriptors beside the two pipes of a worker."""
    found = []
    for descriptor in range(5, 1_024):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        found.append(descriptor)
    if not found:
        raise PermissionError(1, "there are none")
    return found


def shared_memory(_: Facts) -> int:
    """Memory by a name that all processes of the machine know."""
    return Path("/dev/shm/strata-attack").write_text("x", encoding="ascii")  # noqa: S108 - that is the attack


def thread_bomb(_: Facts) -> int:
    """As many threads as there may be."""
    done, made = threading.Event(), 0
    try:
        for _count in range(1_000):
            threading.Thread(target=done.wait, daemon=True).start()
            made += 1
    finally:
        done.set()
    return made


def descriptor_bomb(_: Facts) -> int:
    """As many pipes as there may be."""
    return len([os.pipe() for _count in range(2_000)])


def pipe_memory(_: Facts) -> int:
    """Memory of the kernel's that all processes of a user share, in pipes as large as they may be."""
    read_from, _write_to = os.pipe()
    return fcntl.fcntl(read_from, 1031, _PIPE_SIZE)  # F_SETPIPE_SZ


PROBES: Final[Mapping[str, Callable[[Facts], Any]]] = {
    probe.__name__: probe
    for probe in (
        sibling_environment,
        sibling_memory,
        sibling_copied,
        sibling_descriptors,
        sibling_folder,
        ptrace_sibling,
        signal_sibling,
        signal_everybody,
        signal_by_descriptor,
        slow_sibling,
        server_arguments,
        own_memory,
        program_in_memory,
        page_faults,
        keyring,
        counters,
        kernel_program,
        change_mode,
        change_times,
        link_out,
        inherited,
        shared_memory,
        thread_bomb,
        descriptor_bomb,
        pipe_memory,
    )
}
