"""What the machine under us is: cores, memory, and how long its disk takes to make a write durable.

Every figure is read or measured when asked for. Must never know: what it is compared with.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns
from typing import Final

from msgspec import Struct

THRESHOLDS: Final = (10_000, 20, 50)
"""Of the collector's generations. Measured with one-step executions, 64 at a time: the ones that Python
begins with take 13 µs of each, these none that could be told."""

_BLOCK: Final = b"\0" * 4096
_OWN_MEMORY: Final = Path("/proc/self/statm")
_MACHINE_MEMORY: Final = Path("/proc/meminfo")
_OWN_GROUPS: Final = Path("/proc/self/cgroup")
_GROUPS: Final = Path("/sys/fs/cgroup")


class _Accounts(Struct, frozen=True):
    """Where a version of control groups keeps its limit of memory, and what is taken of it."""

    limit: str
    used: str
    cache: str
    """What could be had back at once, as its table calls it: files read, and not lately."""


_FIRST: Final = _Accounts("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
_SECOND: Final = _Accounts("memory.max", "memory.current", "inactive_file ")


class SyncLatency(Struct, frozen=True):
    """How long appending 4 KiB and syncing it takes, in microseconds."""

    p50: float
    p99: float
    samples: int


def installed(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - start-up: 20 ms that only who asks needs

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def installed_version() -> str:
    """Of the runtime's own distribution; "unknown" where its files lie somewhere uninstalled."""
    return installed("stratarouter-runtime") or "unknown"


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
    return min([physical, *(limit for limit, _ in _group_limits())])


def available() -> int:
    """Bytes of memory that can still be had: of the machine, and of each group that this process is in.

    A limit of a group that is passed has some process in it killed, however much the machine has left.
    """
    return max(0, min([_unused(), *(limit - used for limit, used in _group_limits())]))


def _unused() -> int:
    table = _MACHINE_MEMORY.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in table if line.startswith("MemAvailable:"))


def _group_limits() -> Iterator[tuple[int, int]]:
    """The limit of each group around this process that has one, and what is taken of it; in bytes."""
    for folder, names in _own_groups():
        with suppress(OSError, ValueError):  # none such here, or no limit is set ("max")
            limit = int((folder / names.limit).read_text())
            used = int((folder / names.used).read_text())
            table = (folder / "memory.stat").read_text().splitlines()
            yield limit, used - sum(int(line.split()[1]) for line in table if line.startswith(names.cache))


def _own_groups() -> Iterator[tuple[Path, _Accounts]]:
    """The folder of each group that this process is in, from the outermost, of both versions."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, names = (_GROUPS / "memory", _FIRST) if controllers else (_GROUPS, _SECOND)
        inner = Path(path.lstrip("/"))
        # From within a container its own group may be the root, whatever it is called outside.
        for folder in (*reversed(inner.parents), inner) if inner.parts else (inner,):
            yield root / folder, names


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
