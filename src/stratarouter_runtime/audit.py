"""The audit: one line for every change of what is kept by name, each linked to all before it; pure.

A line that was changed, dropped or moved no longer follows from the one before it; lines dropped
at the end no longer reach the head, which is kept apart. Must never know: where lines are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from blake3 import blake3
from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Tenant

_LINK: Final = "stratarouter audit link 1.0"


class Line(Struct, frozen=True):
    """Who changed what, and when: `what` is a verb and a kind, as in `put agent`.

    `number` counts from 1 over all tenants. `digest` is the blake3 hash of the new body, empty
    where it was taken away; `link` is the hash of the line and of the link before it.
    """

    number: int
    tenant: Tenant
    at: int
    by: str
    what: str
    name: str
    version: int
    digest: str
    link: bytes


class Head(Struct, frozen=True):
    """The last line: its number and its link."""

    number: int
    link: bytes


START: Final = Head(0, bytes(32))
"""The head of an audit without lines."""


class Change(Struct, frozen=True):
    """What a line tells. `body` is None where something was taken away."""

    tenant: Tenant
    at: int
    by: str
    what: str
    name: str
    version: int
    body: bytes | None


def follow(head: Head, change: Change) -> Line:
    """The line of a change, behind all there are."""
    line = Line(
        number=head.number + 1,
        tenant=change.tenant,
        at=change.at,
        by=change.by,
        what=change.what,
        name=change.name,
        version=change.version,
        digest="" if change.body is None else blake3(change.body).hexdigest(),
        link=b"",
    )
    return replace(line, link=_link(head, line))


def fault(head: Head, line: Line) -> str:
    """Why a line does not follow from the head before it; empty where it does."""
    if line.number != head.number + 1:
        return f"line {head.number + 1} is missing: line {line.number} stands in its place"
    if line.link != _link(head, line):
        return f"line {line.number} does not follow from what stands before it: it was changed or moved"
    return ""


def head_of(line: Line) -> Head:
    """The head of an audit that ends with this line."""
    return Head(line.number, line.link)


def _link(head: Head, line: Line) -> bytes:
    told = msgspec.json.encode(
        (line.number, line.tenant, line.at, line.by, line.what, line.name, line.version, line.digest)
    )
    return blake3(head.link + told, derive_key_context=_LINK).digest()
