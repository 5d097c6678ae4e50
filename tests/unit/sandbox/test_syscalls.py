"""The numbers of system calls against the kernel's own headers, where these are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stratarouter_runtime.sandbox.syscalls import ALLOWED, KILLED, MACHINES, NETWORK, PROCESSES

HEADERS = {
    "aarch64": "/usr/include/asm-generic/unistd.h",
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
}
RENAMED = {"fstatat": "newfstatat"}
"""In the generic table the C library's header gives some calls another name."""


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_kernel(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip("the headers of this machine are not installed")
    pairs = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    kernel = {RENAMED.get(name, name): int(number) for name, number in pairs}
    ours = MACHINES[machine].numbers
    assert {name: kernel.get(name) for name in ours} == dict(ours)
    listed = ALLOWED | KILLED | NETWORK | PROCESSES
    assert not {name for name in listed if name in kernel and name not in ours}, (
        "listed, but without a number"
    )


def test_no_call_stands_on_two_lists() -> None:
    lists = (ALLOWED, KILLED, NETWORK, PROCESSES)
    assert sum(map(len, lists)) == len(frozenset().union(*lists))
