"""Bodies that are documents of the language, in either of its notations, and their entity tags.

Must never know: what a document declares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stratarouter_runtime.api.bodies import media_type
from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.tcfp.loader import load

if TYPE_CHECKING:
    from stratarouter_runtime.api.exchange import Request
    from stratarouter_runtime.tcfp.text import Kind

KINDS: Final[dict[str, Kind]] = {"application/yaml": "yaml", "application/json": "json"}
"""Media type -> notation."""


def notation_of(request: Request) -> Kind:
    """The notation that the request says its body is in. Raises `Refused` for any other."""
    kind = media_type(request)
    if kind not in KINDS:
        raise Refused(
            "unsupported-media-type",
            f"the body is {kind or 'of no stated type'}, expected is {' or '.join(KINDS)}",
            hint="send the header Content-Type: application/yaml",
        )
    return KINDS[kind]


def text_of(body: bytes, kind: Kind) -> str:
    """The body as text. Raises `InvalidFlow` that names the byte at which it is not in UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        diagnostics = load(body, kind=kind).diagnostics
        raise InvalidFlow("the document is not in UTF-8", diagnostics=diagnostics) from None


def check_conditions(request: Request, before: str | None, what: str) -> None:
    """Hold the caller's conditions (RFC 9110) against the tag of what is there now, None for nothing.

    `what` is what to say of something that is there: `it is deployed`. Raises `Refused`.
    """
    wanted, unwanted = request.header(b"if-match"), request.header(b"if-none-match")
    if wanted is not None and not names_tag(wanted, before, weak=False):
        found = f"{what.replace(' is ', ' is not ', 1)}" if before is None else f"it is {before}"
        hint = "read it again, and decide whether to overwrite it"
        raise Refused("precondition-failed", f"If-Match does not hold: {found}", hint=hint)
    if unwanted is not None and names_tag(unwanted, before, weak=True):
        raise Refused("precondition-failed", f"If-None-Match does not hold: {what} already")


def names_tag(header: str, tag: str | None, *, weak: bool) -> bool:
    """Whether a list of entity tags names this one; `weak` tags count where told so."""
    if tag is None:
        return False
    given = [each.strip() for each in header.split(",")]
    return any(each == "*" or (each.removeprefix("W/") if weak else each) == f'"{tag}"' for each in given)


def tagged(tag: str) -> tuple[bytes, bytes]:
    """The header that states an entity tag."""
    return (b"etag", f'"{tag}"'.encode())
