"""Entity tags, and what callers make depend on them (RFC 9110, sections 8.8.3 and 13).

Must never know: what a tag is made of, or how a change is guarded in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.api.exchange import Reply

if TYPE_CHECKING:
    from stratarouter_runtime.api.exchange import Request
    from stratarouter_runtime.errors import Conflict

_HINT = "read it again, and decide whether to overwrite it"


def conditional(request: Request) -> bool:
    """Whether the caller wants a change to be made only under a condition."""
    return request.header(b"if-match") is not None or request.header(b"if-none-match") is not None


def check_conditions(request: Request, before: str | None, what: str) -> None:
    """Hold the caller's conditions against the tag of what is there now, None for nothing.

    `what` is what to say of something that is there: `it is deployed`. Raises `Refused`.
    """
    wanted, unwanted = request.header(b"if-match"), request.header(b"if-none-match")
    if wanted is not None and not _names(wanted, before, weak=False):
        found = f"{what.replace(' is ', ' is not ', 1)}" if before is None else f"it is {before}"
        raise Refused("precondition-failed", f"If-Match does not hold: {found}", hint=_HINT)
    if unwanted is not None and _names(unwanted, before, weak=True):
        raise Refused("precondition-failed", f"If-None-Match does not hold: {what} already")


def overtaken(error: Conflict) -> Refused:
    """The refusal of a change that another one came before, after the conditions were looked at."""
    return Refused("precondition-failed", error.message, hint=_HINT)


def unchanged(request: Request, tag: str) -> Reply | None:
    """The answer to who has what is there already, by its tag; None to anybody else."""
    known = request.header(b"if-none-match")
    return Reply(None, 304, (tagged(tag),)) if known is not None and _names(known, tag, weak=True) else None


def tagged(tag: str) -> tuple[bytes, bytes]:
    """The header that states an entity tag."""
    return (b"etag", f'"{tag}"'.encode())


def _names(header: str, tag: str | None, *, weak: bool) -> bool:
    """Whether a list of entity tags names this one; `weak` tags count where told so."""
    if tag is None:
        return False
    given = [each.strip() for each in header.split(",")]
    return any(each == "*" or (each.removeprefix("W/") if weak else each) == f'"{tag}"' for each in given)
