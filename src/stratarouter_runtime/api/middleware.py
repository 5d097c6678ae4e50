"""What every request passes before a handler sees it: cheap refusals first.

Each is a small ASGI application around the next one; `app.MIDDLEWARE` is their order. Must
never know: any route.
"""

from __future__ import annotations

import re
from time import perf_counter
from typing import Final

from stratarouter_runtime.api.errors import KINDS, Refused, refusal, rendered
from stratarouter_runtime.api.exchange import (
    FIELDS,
    PLACE,
    STATUS,
    TRACE,
    App,
    Message,
    Receive,
    Scope,
    Send,
    Service,
    header,
)
from stratarouter_runtime.api.traffic import NOWHERE, ROUTE
from stratarouter_runtime.errors import InvalidState
from stratarouter_runtime.traces import parse

_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")
_LOCAL: Final = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)


class Answers:
    """Counts requests and what became of them, and gives each answer the fields that all carry.

    The one layer that looks at what is sent: the others say in the scope what they have to add.
    """

    def __init__(self, app: App, service: Service) -> None:
        self._app = app
        self._traffic = service.traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope[STATUS] = message["status"]
                message["headers"] = [*message["headers"], *scope[FIELDS]]
            await send(message)

        traffic, began = self._traffic, perf_counter()
        traffic.active += 1
        try:
            await self._app(scope, receive, named)
        finally:
            traffic.active -= 1
            status = scope.get(STATUS, 500)
            traffic.count(scope["method"], scope.get(ROUTE, NOWHERE), status, perf_counter() - began)


class Tracing:
    """Gives a request its ids: those the caller sent (`traceparent`, `X-Request-Id`), else new ones.

    Both go back with every answer, the trace as `traceresponse`.
    """

    def __init__(self, app: App, service: Service) -> None:
        self._app = app
        self._entropy = service.entropy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, and the answer after it."""
        drawn = self._entropy.seed()
        sent = header(scope, b"traceparent")
        place = None if sent is None else parse(sent)
        trace = drawn if place is None else place.id
        given = header(scope, b"x-request-id")
        request = given if given is not None and _REQUEST_ID.fullmatch(given) else f"req_{drawn}"
        scope[TRACE] = trace
        scope[PLACE] = place
        scope[FIELDS] = (
            (b"x-request-id", request.encode()),
            (b"traceresponse", f"00-{trace}-{drawn[:16]}-01".encode()),
        )
        await self._app(scope, receive, send)


class Problems:
    """Answers every exception as a problem document; a defect is logged with its traceback."""

    def __init__(self, app: App, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens."""
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            late = isinstance(error, InvalidState) and self._service.draining
            refused = draining() if late else refusal(error)
            self._log(refused, scope, error)
            if STATUS in scope:  # an answer has begun already
                raise
            status, headers, body = rendered(refused, scope["path"], scope[TRACE])
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def _log(self, refused: Refused, scope: Scope, error: Exception) -> None:
        """A line about what the server is to blame for."""
        log, status = self._service.observatory.log, KINDS[refused.code].status
        request = {"method": scope["method"], "path": scope["path"], "trace": scope[TRACE]}
        if status == 500:
            log.error("request failed", **request, code=refused.code, exc_info=error)
        elif status > 500 and refused.code != "draining":
            log.warning("request failed", **request, code=refused.code, detail=refused.detail)


class LocalHosts:
    """Answers for the names of this machine only.

    A page on the web can have its own name resolve to the loopback address; its requests
    then reach this server, which asks nobody for a key, but they carry that name.
    """

    def __init__(self, app: App, service: Service) -> None:
        self._app = app
        self._alone = service.door is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what was meant for this machine. A server that asks for keys needs no such care."""
        host = header(scope, b"host") if self._alone else None
        if host is not None and _LOCAL.fullmatch(host) is None:
            raise Refused(
                "misdirected",
                "this server answers on the loopback address only",
                hint="use http://127.0.0.1 or http://localhost with the server's port",
            )
        await self._app(scope, receive, send)


def draining() -> Refused:
    """The refusal of work while the server shuts down."""
    return Refused(
        "draining",
        "the server is shutting down and takes no new work",
        hint="send the same request again; with an Idempotency-Key it is done once",
    )
