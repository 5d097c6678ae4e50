"""Tries each feature of the kernel that walls are made of, in a process of its own: `python -m` this.

A version or a file that says a feature is there proves nothing, since what runs around us may
forbid it; so each is used. Must never know: who needs which.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from stratarouter_runtime.sandbox import box, kernel
from stratarouter_runtime.sandbox import filter as syscall_filter
from stratarouter_runtime.sandbox.paths import interpreter_paths
from stratarouter_runtime.sandbox.syscalls import MACHINES
from stratarouter_runtime.sandbox.walls import Feature, Walls


def _namespaces() -> None:
    box.enter(Walls(reads=interpreter_paths(), without=("landlock", "seccomp")))
    Path("written").write_text("here", encoding="ascii")


def _landlock() -> None:
    kernel.no_new_privileges()
    kernel.landlock_enforce(kernel.landlock_rules(kernel.landlock_version()))
    try:
        os.listdir("/")  # noqa: PTH208 - a call of the kernel, and no more
    except PermissionError:
        return
    raise OSError(0, "its rules are not kept")


def _landlock_of(version: int) -> Callable[[], None]:
    def at_least() -> None:
        found = kernel.landlock_version()
        if found < version:
            raise OSError(0, f"this is version {found} of Landlock, which needs {version}")

    return at_least


def _seccomp() -> None:
    if kernel.machine() not in MACHINES:
        raise OSError(0, f"no numbers of system calls are known for {kernel.machine()}")
    kernel.no_new_privileges()
    kernel.install_filter(syscall_filter.build(MACHINES[kernel.machine()], os.getpid()))
    try:
        os.fork()
    except ChildProcessError:
        return
    raise OSError(0, "the filter is not kept")


def _uid_drop() -> None:
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(box.NOBODY, box.NOBODY, box.NOBODY)
    os.setresuid(box.NOBODY, box.NOBODY, box.NOBODY)
    with Path(os.__file__).open("rb"):  # the interpreter has to be readable to others
        return


def _pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))


TRIALS: Final[Mapping[Feature, Callable[[], None]]] = {
    "namespaces": _namespaces,
    "landlock": _landlock,
    "landlock-net": _landlock_of(4),
    "landlock-scope": _landlock_of(6),
    "seccomp": _seccomp,
    "uid-drop": _uid_drop,
    "pidfd": _pidfd,
}


def attempt(trial: Callable[[], None]) -> str:
    """Empty where it worked, else why not. Runs in a child, since walls are for good."""
    read_from, write_to = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            trial()
        except BaseException as error:  # noqa: BLE001 - whatever it is, that is the answer
            os.write(write_to, (str(getattr(error, "strerror", "")) or repr(error)).encode())
            os._exit(1)
        os._exit(0)
    os.close(write_to)
    said = os.read(read_from, 1_000).decode(errors="replace")
    os.close(read_from)
    _, status = os.waitpid(pid, 0)
    return "" if status == 0 else said or f"it ended with status {status}"


def main() -> None:
    """Print what came of each trial, as JSON."""
    found = {name: attempt(trial) for name, trial in TRIALS.items()}
    sys.stdout.write(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
