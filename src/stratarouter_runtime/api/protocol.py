"""HTTP/1.1 on the wire, with the limits that the server underneath does not have.

A request must arrive whole within a time, its head within a size, and connections are
counted; so drip-fed requests hold nothing for long. Whatever is refused here is a problem
document too. Must never know: what is asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from stratarouter_runtime.api.errors import Refused, rendered

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD_SECONDS: Final = 10.0
"""From the first byte of a request, or from the opening of its connection, to the end of its headers."""

BODY_SECONDS: Final = 30.0
"""From the end of the headers to the end of the body."""

STALLED_SECONDS: Final = 60.0
"""How long nothing of an answer may be taken before the connection is given up."""

MAX_HEAD: Final = 64 * 1024
"""Bytes of request line and headers."""

MAX_CONNECTIONS: Final = 10_000
"""Open connections, where nobody says otherwise; one more is refused."""


class Joined:
    """The way out of a connection: the head of an answer waits for what follows it in the same turn of the loop.

    The server underneath writes head and body apart, and each write is a call of the kernel, a packet
    and a caller woken.
    """

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Send it, now or with what follows at once."""
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.writelines((head, data))
        else:
            self._head = data
            self._loop.call_soon(self.flush)

    def close(self) -> None:
        """Hang up once all is sent."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what waits."""
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)


class LimitedProtocol(HttpToolsProtocol):
    """One connection. The limits are class attributes, so that tests can narrow them."""

    head_seconds: float = HEAD_SECONDS
    body_seconds: float = BODY_SECONDS
    stalled_seconds: float = STALLED_SECONDS
    max_head: int = MAX_HEAD
    max_connections: int = MAX_CONNECTIONS

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        # What must arrive next; None between requests, when the keep-alive time counts instead.
        self._due: Literal["headers", "body"] | None = "headers"
        self._armed: Literal["headers", "body"] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._head = 0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows the type as well
        super().connection_made(transport)
        self._out = Joined(transport, self.loop)
        if len(self.connections) > self.max_connections:
            self._refuse("too-many-connections", f"{self.max_connections} connections are open")
        else:
            self._watch()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._flow_again()
        super().connection_lost(exc)

    @override
    def shutdown(self) -> None:
        self._out.flush()  # this may close the connection
        super().shutdown()

    @override
    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._due == "headers":
            self._head += len(data)
            if self._head > self.max_head:
                self._refuse("headers-too-large", f"the headers have more than {self.max_head} bytes")
        if self._due != self._armed:
            self._watch()

    @override
    def pause_writing(self) -> None:
        # Closing would wait until the rest is taken, too: nobody is there who takes it.
        self._stalled = self.loop.call_later(self.stalled_seconds, self.transport.abort)
        super().pause_writing()

    @override
    def resume_writing(self) -> None:
        self._flow_again()
        super().resume_writing()

    @override
    def on_message_begin(self) -> None:
        self._due, self._head = "headers", 0
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        self._due = "body"
        super().on_headers_complete()
        self.cycle.transport = self._out  # type: ignore[assignment]  # has all that an answer uses

    @override
    def on_message_complete(self) -> None:
        self._due = None
        super().on_message_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        self._refuse("malformed-request", msg)

    def _watch(self) -> None:
        """Count the time of what is due now. A request that comes in one piece never gets here."""
        self._disarm()
        if self._due is not None and not self.transport.is_closing():
            seconds = self.head_seconds if self._due == "headers" else self.body_seconds
            self._deadline = self.loop.call_later(seconds, self._expire, seconds)
            self._armed = self._due

    def _flow_again(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _disarm(self) -> None:
        self._armed = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self, seconds: float) -> None:
        if not self.transport.is_closing():
            self._refuse("request-timeout", f"the {self._armed} did not arrive within {seconds:g} s")

    def _refuse(self, code: str, detail: str) -> None:
        """Answer in place of the application, where its answer has not begun, and hang up."""
        if self._unanswered:
            status, headers, body = rendered(Refused(code, detail), "", "")
            lines = [name + b": " + value + b"\r\n" for name, value in headers]
            self._out.write(b"".join([STATUS_LINE[status], *lines, b"connection: close\r\n\r\n", body]))
        self._disarm()
        self._out.close()

    @property
    def _unanswered(self) -> bool:
        """Whether the next response on the wire belongs to the request that is arriving."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and self._due == "body":
            return not self.pipeline and not cycle.response_started
        return cycle is None or cycle.response_complete
