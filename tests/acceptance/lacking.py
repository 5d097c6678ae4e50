"""Runs a command where the kernel refuses one call of the system, as what surrounds a server may.

`python -m tests.acceptance.lacking CALL WORD…`
"""

from __future__ import annotations

import os
import struct
import sys

from stratarouter_runtime.sandbox import kernel
from stratarouter_runtime.sandbox.syscalls import MACHINES

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_UNLISTED = {"x86_64": {"setresuid": 117}, "aarch64": {"setresuid": 147}}


def without(call: str) -> bytes:
    """A filter that allows everything else."""
    number = {**MACHINES[kernel.machine()].numbers, **_UNLISTED[kernel.machine()]}[call]
    steps = [(_LOAD, 0, 0, 0), (_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


if __name__ == "__main__":
    kernel.no_new_privileges()
    kernel.install_filter(without(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the words of the test
