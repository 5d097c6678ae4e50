"""One request and its reply, as handlers see them, and what all handlers share.

Thin on purpose: the hot path reads a header or two, one body, and writes one answer. Must
never know: any route.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from stratarouter_runtime.api.errors import Refused
from stratarouter_runtime.api.traffic import Traffic
from stratarouter_runtime.ids import LOCAL, Tenant
from stratarouter_runtime.limits.gate import Gate
from stratarouter_runtime.observability.observatory import Observatory
from stratarouter_runtime.ports import Caller, Door, Entropy
from stratarouter_runtime.runtime import Runtime
from stratarouter_runtime.traces import Trace

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY: Final = 1024 * 1024
"""Bytes of a body; what arrives beyond it is not kept."""

LARGER: Final[Mapping[str, int]] = {"/api/v1/batch/submit": 8 * MAX_BODY}
"""Paths whose bodies may be larger."""

TRACE: Final = "strata.trace_id"
"""The key of the scope that holds the trace id of a request."""

PLACE: Final = "strata.place"
"""The key of the scope that holds where in the caller's trace a request stands; None where none was sent."""

CALLER: Final = "strata.caller"
"""The key of the scope that holds who makes a request."""

FIELDS: Final = "strata.fields"
"""The key of the scope that holds the header fields which every answer to this request carries."""

HEADERS: Final = "strata.headers"
"""The key of the scope that holds the headers of a request by name, once one was asked for."""

STATUS: Final = "strata.status"
"""The key of the scope that holds the status of the answer, once it has begun."""

LOCALLY: Final = Caller(LOCAL, frozenset({"admin", "operate"}), "local")
"""Whoever calls a server that asks nobody for a key."""

JSON: Final = (b"content-type", b"application/json")
_ENCODER: Final = msgspec.json.Encoder()


class Reference(Struct, frozen=True):
    """What tells of this API: its OpenAPI document in JSON, and a page for people."""

    document: bytes = b"{}"
    page: bytes = b""


@dataclass(slots=True)
class Service:
    """What handlers share: the runtime, whether it is shutting down, and one lock for deploying."""

    runtime: Runtime
    observatory: Observatory
    entropy: Entropy
    version: str
    place: str = ""
    """Where executions are kept, as people may see it."""
    door: Door | None = None
    """Who lets callers in; None where nobody is asked for a key, on this machine alone."""
    gate: Gate | None = None
    """Who holds callers to their tiers; None where nobody does."""
    draining: bool = False
    deploying: asyncio.Lock = field(default_factory=asyncio.Lock)
    traffic: Traffic = field(default_factory=Traffic)
    isolation: Mapping[str, str] = field(default_factory=dict)
    """The level behind which each agent's code runs, by its name."""
    began: float = field(default_factory=monotonic)
    reference: Callable[[], Reference] = Reference
    """The reference of the application that serves it, made when it is first asked for."""

    def __post_init__(self) -> None:
        self.observatory.metrics.add("http", self.traffic.stats)


class Request:
    """One HTTP request."""

    __slots__ = ("_receive", "_scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive

    @property
    def trace_id(self) -> str:
        """32 hex digits: the caller's where a `traceparent` came, else this server's."""
        return str(self._scope[TRACE])

    @property
    def place(self) -> Trace | None:
        """Where in the caller's trace it stands, where a `traceparent` came."""
        place: Trace | None = self._scope[PLACE]
        return place

    @property
    def caller(self) -> Caller:
        """Who makes it."""
        caller: Caller = self._scope[CALLER]
        return caller

    @property
    def tenant(self) -> Tenant:
        """Whose things it is about: nothing of another tenant exists for it."""
        return self.caller.tenant

    def param(self, name: str) -> str:
        """What stands in the path for `{name}`."""
        params: Mapping[str, str] = self._scope["path_params"]
        return params[name]

    @property
    def path(self) -> str:
        """What was asked for."""
        return str(self._scope["path"])

    @property
    def query(self) -> str:
        """What stands behind the `?`."""
        raw: bytes = self._scope["query_string"]
        return raw.decode("latin-1")

    def header(self, name: bytes) -> str | None:
        """The value of a header (its name in lower case); several are joined by commas."""
        return header(self._scope, name)

    async def body(self) -> bytes:
        """All of the body.

        Raises `Refused` where it is larger than the limit, or the caller left before its end:
        half a document may well be a document, but not the one that was meant.
        """
        parts: list[bytes] = []
        arrived, more, limit = 0, True, body_limit(self.path)
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Refused("request-timeout", "the connection was closed before the body had arrived")
            parts.append(message.get("body", b""))
            arrived += len(parts[-1])
            if arrived > limit:
                raise too_large(limit)
            more = message.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a header of a request (its name in lower case); several are joined by commas."""
    try:
        value: bytes | None = scope[HEADERS].get(name)
    except KeyError:
        value = _headers(scope).get(name)
    return None if value is None else value.decode("latin-1")


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers by name, from now on at hand."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        found[name] = found[name] + b", " + value if name in found else value
    scope[HEADERS] = found
    return found


class Reply(Struct, frozen=True):
    """An answer: a record that is encoded as JSON, or bytes; None has no body."""

    body: Any = None
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Streamed(Struct, frozen=True):
    """An answer whose parts are sent as they come, until there are no more or the caller leaves."""

    parts: AsyncIterator[bytes]
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler: TypeAlias = Callable[[Service, Request], Awaitable[Reply | Streamed]]


def body_limit(path: str) -> int:
    """How many bytes a body may have that is sent to this path."""
    return LARGER.get(path, MAX_BODY)


def check_stated_length(scope: Scope) -> None:
    """Refuse a body that says of itself that it is too large. Raises `Refused`."""
    stated = header(scope, b"content-length")
    if stated is not None and stated.isascii() and stated.isdigit():
        limit = body_limit(scope["path"])
        if len(stated) < 20 and int(stated) > limit:
            raise too_large(limit)


def too_large(limit: int) -> Refused:
    """The refusal of a body above the limit."""
    return Refused(
        "body-too-large",
        f"the body has more than {limit} bytes",
        hint="hand over large data by reference, or in parts",
        headers=((b"connection", b"close"),),
    )


async def respond(reply: Reply | Streamed, receive: Receive, send: Send) -> None:
    """Send an answer."""
    if isinstance(reply, Streamed):
        await _stream(reply, receive, send)
    else:
        await _send(reply, send)


async def _stream(reply: Streamed, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(reply.headers)})
    sending = asyncio.ensure_future(_parts(reply.parts, send))
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _parts(parts: AsyncIterator[bytes], send: Send) -> None:
    async for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    """Returns once the caller has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(reply: Reply, send: Send) -> None:
    """Encoded once, sent in two messages."""
    body = b"" if reply.body is None else reply.body
    headers = [*reply.headers]
    if not isinstance(body, bytes):
        body = _ENCODER.encode(body)
        headers.append(JSON)
    if reply.status != 304:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
