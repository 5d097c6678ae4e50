"""Steps into the box: the order in which a fresh process gives up what it has, for good.

Each step presumes the one before; whatever fails ends the process, so that nothing ever runs
in half a box. Called by a process that has one thread and holds nothing but its own pipes.
Must never know: what runs inside.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from errno import ENOENT
from resource import (
    RLIMIT_AS,
    RLIMIT_CORE,
    RLIMIT_CPU,
    RLIMIT_FSIZE,
    RLIMIT_MEMLOCK,
    RLIMIT_NOFILE,
    RLIMIT_NPROC,
    setrlimit,
)
from stat import S_ISDIR
from typing import Final

from stratarouter_runtime.sandbox import filter as syscall_filter
from stratarouter_runtime.sandbox import kernel
from stratarouter_runtime.sandbox.syscalls import MACHINES
from stratarouter_runtime.sandbox.walls import Walls

NOBODY: Final = 65534
PLACES: Final = ("/mnt", "/srv", "/media", "/tmp")  # noqa: S108 - nothing is put there, but over it
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


def prepare() -> None:
    """Do once what every box needs: the filter, but for the number of the process."""
    if kernel.machine() in MACHINES:
        for spawning in (False, True):
            syscall_filter.build(MACHINES[kernel.machine()], 0, spawning=spawning)


def enter(walls: Walls) -> None:
    """Stand inside when this returns, in an empty working folder. Raises `OSError`."""
    kernel.die_with_parent(signal.SIGKILL)
    os.setsid()
    os.umask(0o077)
    _become_nobody(walls)
    work = place(walls) if walls.has("namespaces") else "/"
    if walls.has("namespaces"):
        _leave_namespaces(walls, work)
    os.chdir(work)
    _limit(walls)
    kernel.set_dumpable(dumpable=False)
    # A change of the user has forgotten it.
    kernel.die_with_parent(signal.SIGKILL)
    kernel.no_new_privileges()
    if walls.has("landlock"):
        _keep_to(walls, work)
    if walls.has("seccomp"):
        program = syscall_filter.build(MACHINES[kernel.machine()], os.getpid(), spawning=walls.spawning)
        kernel.install_filter(program)


def place(walls: Walls) -> str:
    """Where the working folder is mounted: over a folder that is there, so that nothing has to be removed.

    Nobody outside sees what is mounted there. Raises `OSError` where each hides what is read.
    """
    needed = (*walls.reads, *walls.programs)
    for folder in PLACES:
        hides = any(path == folder or path.startswith(f"{folder}/") for path in needed)
        if not hides and os.path.isdir(folder):  # noqa: PTH112 - some thousand of these a minute
            return folder
    raise FileNotFoundError(ENOENT, "no folder is there to mount a working folder over", ", ".join(PLACES))


def _become_nobody(walls: Walls) -> None:
    if os.geteuid() == 0 and "uid-drop" not in walls.without:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def _leave_namespaces(walls: Walls, work: str) -> None:
    user, group = os.geteuid(), os.getegid()
    # Else the files of /proc that name the users of the namespace belong to root.
    kernel.set_dumpable(dumpable=True)
    kernel.unshare(kernel.NEW_USER | kernel.NEW_MOUNTS | kernel.NEW_NET | kernel.NEW_IPC)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")
    kernel.make_mounts_private()
    kernel.mount_tmpfs(work, walls.disk, walls.files)
    kernel.drop_capabilities()


def _write(file: str, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _limit(walls: Walls) -> None:
    limits = {
        RLIMIT_AS: walls.memory,
        RLIMIT_CORE: 0,
        RLIMIT_CPU: walls.cpu,
        RLIMIT_FSIZE: walls.disk,
        RLIMIT_MEMLOCK: 0,
        RLIMIT_NOFILE: walls.descriptors,
    }
    if walls.has("namespaces"):  # counted in the namespace of users, so that boxes do not count together
        limits[RLIMIT_NPROC] = walls.threads
    for which, most in limits.items():
        # Of CPU time the first limit is told by a signal of its own, and only the second kills.
        setrlimit(which, (most, most + 1) if which == RLIMIT_CPU else (most, most))


def _keep_to(walls: Walls, work: str) -> None:
    version = kernel.landlock_version()
    rules = kernel.landlock_rules(version)
    everything = kernel.EVERYTHING_OF.get(version, kernel.EVERYTHING)
    if walls.has("namespaces"):
        _allow(rules, work, everything & ~kernel.EXECUTE)
    for path in walls.reads:
        _allow(rules, path, kernel.READ)
    for path in DEVICES:
        _allow(rules, path, kernel.READ | kernel.WRITE)
    for path in walls.programs:
        _allow(rules, path, kernel.READ | kernel.EXECUTE)
    kernel.landlock_enforce(rules)
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    """Allow `rights` below `path`; what is not there needs none."""
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            folder = S_ISDIR(os.fstat(descriptor).st_mode)
            granted = rights if folder else rights & kernel.NOT_ON_FOLDERS
            kernel.landlock_allow(rules, descriptor, granted)
        finally:
            os.close(descriptor)
