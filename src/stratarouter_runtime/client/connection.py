"""What both clients share about HTTP: headers, times, and what a lost connection is.

Must never know: what is said.
"""

from __future__ import annotations

import secrets  # noqa: TID251 - nothing replays a client
from typing import TYPE_CHECKING, Any, Final

import httpx2

from stratarouter_runtime.client.talk import Call, Heard, Lost

if TYPE_CHECKING:
    from collections.abc import Mapping

MARGIN: Final = 10.0
"""Seconds beyond the time that the server may hold a request."""

CONNECTING: Final = 5.0
"""Seconds until a connection must stand."""

SILENCE: Final = 45.0
"""Seconds: three comments that should have kept a stream alive have not come."""


def headers(key: str | None) -> dict[str, str]:
    """What every request carries. Raises `ValueError` for a key that no header can carry."""
    if key is not None and not (key.isascii() and key.isprintable()):
        raise ValueError("the key holds what no key does: pass it whole, as `strata keys create` printed it")
    return {} if key is None else {"authorization": f"Bearer {key}"}


def timeout(call: Call) -> httpx2.Timeout:
    """How long to wait for the parts of an exchange."""
    return httpx2.Timeout(call.wait + MARGIN, connect=CONNECTING)


def arguments(call: Call) -> dict[str, Any]:
    """A request as the library wants it told."""
    return {
        "method": call.method,
        "url": call.path,
        "content": call.body,
        "headers": dict(call.headers),
        "params": dict(call.query),
        "timeout": timeout(call),
    }


def stream(call: Call) -> dict[str, Any]:
    """A request whose answer comes bit by bit."""
    return {**arguments(call), "timeout": httpx2.Timeout(SILENCE, connect=CONNECTING)}


def heard(response: httpx2.Response) -> Heard:
    """An answer as conversations hear it."""
    named: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
    return Heard(response.status_code, named, response.content)


def lost(error: httpx2.TransportError) -> Lost:
    """Why there is no answer."""
    never_sent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    return Lost(f"{type(error).__name__}: {error}", sent=not never_sent)


def new_key() -> str:
    """A key by which a request is known again."""
    return secrets.token_hex(16)
