"""The filter of system calls, run on a packet machine of our own: every call gets the answer that the lists say."""

from __future__ import annotations

from collections.abc import Iterator
from struct import iter_unpack

import pytest

from stratarouter_runtime.sandbox.filter import ALLOW, ECHILD, ENONET, ENOSYS, EPERM, KILL, build, errno
from stratarouter_runtime.sandbox.syscalls import ALLOWED, KILLED, MACHINES, NETWORK, PROCESSES, Machine

PID = 4711
CLONE_THREAD, CLONE_NEWUSER = 0x10000, 0x10000000
PAIR = NETWORK & {"socketpair", "sendto", "recvfrom"}


def verdict(
    machine: Machine, number: int, *arguments: int, audit: int | None = None, spawning: bool = False
) -> int:
    """What the filter says to this call."""
    data = {0: number, 4: machine.audit if audit is None else audit}
    data |= {16 + 8 * place: value & 0xFFFFFFFF for place, value in enumerate(arguments)}
    program = list(iter_unpack("=HBBI", build(machine, PID, spawning=spawning)))
    held, at = 0, 0
    while True:
        code, yes, no, value = program[at]
        at += 1
        match code:
            case 0x20:
                held = data.get(value, 0)
            case 0x15:
                at += yes if held == value else no
            case 0x35:
                at += yes if held >= value else no
            case 0x45:
                at += yes if held & value else no
            case _:
                assert code == 0x06
                return int(value)


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> Machine:
    return MACHINES[request.param]


def numbers(machine: Machine, names: frozenset[str]) -> Iterator[int]:
    return (machine.numbers[name] for name in names if name in machine.numbers)


def test_the_lists_do_not_overlap() -> None:
    lists = [ALLOWED, NETWORK, PROCESSES, KILLED]
    assert sum(map(len, lists)) == len(frozenset().union(*lists))


def test_a_call_gets_the_answer_of_its_list(machine: Machine) -> None:
    for names, answer in (
        (ALLOWED, ALLOW),
        (NETWORK, errno(ENONET)),
        (PROCESSES, errno(ECHILD)),
        (KILLED, KILL),
    ):
        assert {verdict(machine, number) for number in numbers(machine, names)} == {answer}


def test_a_call_on_no_list_is_not_permitted(machine: Machine) -> None:
    listed = set(machine.numbers.values())
    strange = [number for number in range(600) if number not in listed]
    assert {verdict(machine, number) for number in strange} == {errno(EPERM)}


def test_another_machine_is_ended(machine: Machine) -> None:
    assert verdict(machine, machine.numbers["read"], audit=0x40000003) == KILL


def test_the_other_way_of_calling_is_ended() -> None:
    x86 = MACHINES["x86_64"]
    assert verdict(x86, 0x40000000) == KILL
    assert verdict(x86, 0x40000000 | x86.numbers["read"]) == KILL


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("clone", (CLONE_THREAD,), ALLOW),
        ("clone", (17,), errno(ECHILD)),
        ("clone", (CLONE_NEWUSER,), errno(ECHILD)),
        ("clone3", (), errno(ENOSYS)),
        ("prctl", (15,), ALLOW),
        ("prctl", (4, 1), errno(EPERM)),
        ("ioctl", (1, 0x5401), ALLOW),
        ("ioctl", (1, 0x5412), errno(EPERM)),
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (PID,), ALLOW),
        ("prlimit64", (1,), errno(EPERM)),
        ("tgkill", (PID,), ALLOW),
        ("tgkill", (PID + 1,), errno(EPERM)),
        ("kill", (PID,), errno(EPERM)),
        ("seccomp", (1,), errno(EPERM)),
    ],
)
def test_a_call_is_judged_by_what_it_is_given(
    machine: Machine, name: str, arguments: tuple[int, ...], answer: int
) -> None:
    assert verdict(machine, machine.numbers[name], *arguments) == answer


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("execve", (), ALLOW),
        ("clone", (17,), ALLOW),
        ("clone", (17 | CLONE_NEWUSER,), KILL),
        ("socketpair", (1, 0x80001), ALLOW),
        ("socketpair", (1, 2), errno(ENONET)),
        ("socket", (2, 1), errno(ENONET)),
        ("kill", (1,), errno(EPERM)),
        ("unshare", (), KILL),
    ],
)
def test_who_may_start_programs_may_do_little_more(
    machine: Machine, name: str, arguments: tuple[int, ...], answer: int
) -> None:
    assert verdict(machine, machine.numbers[name], *arguments, spawning=True) == answer


def test_nothing_else_is_answered_otherwise_to_who_may_start_programs(machine: Machine) -> None:
    differing = {
        name
        for name, number in machine.numbers.items()
        if verdict(machine, number) != verdict(machine, number, spawning=True)
    }
    expected = (PROCESSES | PAIR | {"clone", "pidfd_open"}) - {"socketpair"}
    assert differing == {name for name in expected if name in machine.numbers}
