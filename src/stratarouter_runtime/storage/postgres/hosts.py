"""Processes of one host: whether one that names itself here has ended.

What is not known for certain has not ended. Must never know: leases, or who asks.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_NUMBERING: Final = Path("/proc/self/ns/pid")
_GONE: Final = (b"Z", b"X")
"""States of a process that has ended, and that nobody has asked about yet."""


@cache
def here() -> str:
    """Names this host since it was started, and whose numbers its processes have; "" where that is not known."""
    try:
        return f"{_BOOT.read_text().strip()} {_NUMBERING.readlink()}"
    except OSError:
        return ""


def has_ended(pid: int) -> bool:
    """Whether no process of `here` has this number any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's: it lives
        return False
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return told.rpartition(b")")[2].split()[0] in _GONE
