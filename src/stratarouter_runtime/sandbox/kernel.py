"""Calls of the Linux kernel that Python does not offer, each under its own name; failures are `OSError`.

The numbers and layouts are those of the kernel's `include/uapi/linux` (`prctl.h`, `seccomp.h`,
`landlock.h`, `mount.h`, `sched.h`). Must never know: why anybody calls them.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Final

_C: Final = ctypes.CDLL(None, use_errno=True)
# Told once: what is converted anew for each call is a tenth of the time that a box takes.
_C.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)

NEW_USER: Final = 0x10000000
NEW_MOUNTS: Final = 0x00020000
NEW_NET: Final = 0x40000000
NEW_IPC: Final = 0x08000000

_PRIVATE: Final = 0x40000
_READ_ONLY_NOSUID_NODEV: Final = 1 | 2 | 4
_EVERYTHING_BELOW: Final = 0x8000  # AT_RECURSIVE
_HERE: Final = -100  # AT_FDCWD
_MOUNT_SETATTR: Final = 442
_NOSUID_NODEV_NOEXEC: Final = 2 | 4 | 8

_ON_DEATH: Final = 1
_SET_DUMPABLE: Final = 4
_DROP_BOUND: Final = 24
_NO_NEW_PRIVILEGES: Final = 38
_CAPABILITIES_V3: Final = 0x20080522

_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_CAPSET: Final = {"x86_64": 126, "aarch64": 91}
_LANDLOCK: Final = 444
_PATH_BENEATH: Final = 1

READ: Final = 1 << 2 | 1 << 3  # files and folders
EXECUTE: Final = 1 << 0
WRITE: Final = 1 << 1
EVERYTHING_OF: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
"""The rights over files that each version of Landlock knows; later ones know those of 5."""
EVERYTHING: Final = (1 << 16) - 1
NOT_ON_FOLDERS: Final = READ & (1 << 2) | EXECUTE | WRITE | 1 << 14 | 1 << 15
"""The rights that a rule for a file may give; the others are about folders."""
NETWORK: Final = 3  # bind and connect of TCP
SCOPES: Final = 3  # abstract sockets and signals


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def machine() -> str:
    """The name of this machine's architecture."""
    return platform.machine()


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _prctl(option: int, value: int = 0) -> None:
    _checked(_C.prctl(option, value, 0, 0, 0))


def _syscall(number: int, *arguments: object) -> int:
    return _checked(_C.syscall(ctypes.c_long(number), *arguments))


def die_with_parent(signal: int) -> None:
    """Get this signal when the thread that forked this process ends; a change of the user forgets it."""
    _prctl(_ON_DEATH, signal)


def set_dumpable(*, dumpable: bool) -> None:
    """Whether others of the same user may look into this process, and `/proc` gives it its own files."""
    _prctl(_SET_DUMPABLE, int(dumpable))


def no_new_privileges() -> None:
    """From here on no program that is started has more rights than this process."""
    _prctl(_NO_NEW_PRIVILEGES, 1)


def drop_capabilities() -> None:
    """Give up every capability, for good."""
    capability = 0
    try:
        while True:
            _prctl(_DROP_BOUND, capability)
            capability += 1
    except OSError:  # the first number that is no capability any more, or none may be dropped
        pass
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    _syscall(_CAPSET[machine()], ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def unshare(namespaces: int) -> None:
    """Leave these namespaces for new ones."""
    _checked(_C.unshare(ctypes.c_int(namespaces)))


def make_mounts_private() -> None:
    """What is mounted from here on is seen by nobody outside the namespace, and all there is can only be read.

    Landlock says nothing about modes, times and owners of files; a file system that is read only does.
    """
    wanted = (ctypes.c_uint64 * 4)(_READ_ONLY_NOSUID_NODEV, 0, _PRIVATE, 0)
    arguments = ctypes.c_int(_HERE), b"/", ctypes.c_uint(_EVERYTHING_BELOW), ctypes.byref(wanted)
    _syscall(_MOUNT_SETATTR, *arguments, ctypes.c_size_t(ctypes.sizeof(wanted)))


def mount_tmpfs(folder: str, size: int, files: int) -> None:
    """An empty file system in memory over `folder`, at most so many bytes and files."""
    options = f"size={size},nr_inodes={files},mode=0700".encode()
    flags = ctypes.c_ulong(_NOSUID_NODEV_NOEXEC)
    _checked(_C.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options))


def install_filter(program: bytes) -> None:
    """Put a filter of system calls in force for every thread of this process, for good."""
    steps = ctypes.create_string_buffer(program, len(program))
    found = _Program(len(program) // 8, ctypes.cast(steps, ctypes.c_void_p))
    set_mode_filter, every_thread = ctypes.c_ulong(1), ctypes.c_ulong(1)
    _syscall(_SECCOMP[machine()], set_mode_filter, every_thread, ctypes.byref(found))


def landlock_version() -> int:
    """The version of Landlock here. Raises `OSError` where there is none."""
    return _syscall(_LANDLOCK, None, ctypes.c_size_t(0), ctypes.c_uint(1))


def landlock_rules(version: int) -> int:
    """A descriptor of rules under which nothing is allowed that this version can refuse."""
    handled = (ctypes.c_uint64 * 3)(
        EVERYTHING_OF.get(version, EVERYTHING), NETWORK if version >= 4 else 0, SCOPES if version >= 6 else 0
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    return _syscall(_LANDLOCK, ctypes.byref(handled), ctypes.c_size_t(size), ctypes.c_uint(0))


def landlock_allow(rules: int, folder: int, rights: int) -> None:
    """Allow these rights below an open folder, or on an open file."""
    beneath = _Beneath(rights, folder)
    _syscall(
        _LANDLOCK + 1,
        ctypes.c_int(rules),
        ctypes.c_int(_PATH_BENEATH),
        ctypes.byref(beneath),
        ctypes.c_uint(0),
    )


def landlock_enforce(rules: int) -> None:
    """Put the rules in force for this thread and all it makes, for good."""
    _syscall(_LANDLOCK + 2, ctypes.c_int(rules), ctypes.c_uint(0))
