"""The chain of the audit: what was changed, dropped or moved is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from stratarouter_runtime.audit import START, Change, Line, fault, follow, head_of
from stratarouter_runtime.ids import Tenant

ANN = Tenant("ann")


def lines(count: int) -> list[Line]:
    """An audit of this many lines."""
    made: list[Line] = []
    for number in range(count):
        head = head_of(made[-1]) if made else START
        made.append(follow(head, Change(ANN, number, "cli", "put rule", f"n{number}", 1, b"%d" % number)))
    return made


def first_fault(audit: list[Line]) -> str:
    """The first fault of an audit; empty where there is none."""
    head = START
    for line in audit:
        if found := fault(head, line):
            return found
        head = head_of(line)
    return ""


def test_an_audit_left_alone_has_no_fault() -> None:
    assert first_fault(lines(5)) == ""


def _drop(audit: list[Line]) -> None:
    del audit[2]


def _swap(audit: list[Line]) -> None:
    audit[1], audit[2] = audit[2], audit[1]


def _renumber(audit: list[Line]) -> None:
    del audit[1]
    audit[1:] = [replace(line, number=line.number - 1) for line in audit[1:]]


@pytest.mark.parametrize(
    ("tamper", "says"),
    [(_drop, "line 3 is missing"), (_swap, "line 2 is missing"), (_renumber, "line 2 does not follow")],
)
def test_a_dropped_or_moved_line_is_found(tamper: Callable[[list[Line]], None], says: str) -> None:
    audit = lines(5)
    tamper(audit)
    assert first_fault(audit).startswith(says)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", "bob"),
        ("at", 9),
        ("by", "someone"),
        ("what", "remove rule"),
        ("name", "other"),
        ("version", 2),
        ("digest", "00" * 32),
        ("link", bytes(32)),
    ],
)
def test_every_changed_field_is_found(field: str, value: object) -> None:
    audit = lines(4)
    audit[1] = replace(audit[1], **{field: value})
    assert first_fault(audit).startswith("line 2 does not follow")


def test_a_body_is_told_by_its_digest_and_its_absence_by_none() -> None:
    one, two = (follow(START, Change(ANN, 1, "", "put rule", "a", 1, body)) for body in (b"one", b"two"))
    gone = follow(START, Change(ANN, 1, "", "remove rule", "a", 1, None))
    assert len({one.digest, two.digest, gone.digest}) == 3
    assert gone.digest == ""
