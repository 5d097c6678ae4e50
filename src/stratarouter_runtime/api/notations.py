"""Bodies that are documents of the language, in either of its notations.

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
