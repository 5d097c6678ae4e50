"""What the machine under us is: cores, memory, and how long its disk takes to make a write durable.

Every figure is read or measured when asked for. Must never know: what it is compared with.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import tempfile
from pathlib import Path
from time import perf_counter_ns
from typing import Final

from msgspec import Struct

THRESHOLDS: Final = (10_000, 20, 50)
"""Of the collector's generations. Measured with one-step executions, 64 at a time: the ones that Python
begins with take 34 µs of each, these 11."""

_BLOCK: Final = b"\0" * 4096
_OWN_MEMORY: Final = Path("/proc/self/statm")
_CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


class SyncLatency(Struct, frozen=True):
    """How long appending 4 KiB and syncing it takes, in microseconds."""

    p50: float
    p99: float
    samples: int


def describe() -> str:
    """Interpreter and system in one line: `CPython 3.11.7 on Linux x86_64`."""
    return (
        f"{platform.python_implementation()} {platform.python_version()} "
        f"on {platform.system()} {platform.machine()}"
    )


def cores() -> int:
    """The number of CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory this process may use: the machine's, or the container's where that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no cgroup here, or no limit set ("max")
        return physical


def open_files(wanted: int) -> int:
    """Let this process have so many files and sockets open, as far as the system allows; how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        return allowed
    return wanted if soft == resource.RLIM_INFINITY else soft


def resident() -> int:
    """Bytes of memory that this process takes; 0 where the system does not say."""
    try:
        return int(_OWN_MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def settle_memory() -> None:
    """Have the collector leave alone what is there now, and look at what comes in larger heaps.

    For a process that is about to work for long: what it has loaded stays, and most of what it makes
    from here on goes by itself. Each look would go over all that is under way.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def sync_latency(folder: Path, samples: int = 40) -> SyncLatency:
    """Measure the disk under `folder` with a file that is removed again. Raises `OSError`."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        taken = sorted(_sync(file.fileno()) for _ in range(samples))
    return SyncLatency(
        p50=taken[samples // 2] / 1000,
        p99=taken[min(samples - 1, samples * 99 // 100)] / 1000,
        samples=samples,
    )


def _sync(file: int) -> int:
    started = perf_counter_ns()
    os.write(file, _BLOCK)
    os.fsync(file)
    return perf_counter_ns() - started
