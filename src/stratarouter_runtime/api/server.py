"""A socket, the application on it, and an orderly end.

The first SIGTERM or SIGINT begins the end: new work is refused, what runs gets to stop, and
then the server closes. From that moment a second signal ends the process at once, by the
system's own hand: all that was acknowledged is durable. Must never know: any route.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import uvicorn
from typing_extensions import override

from stratarouter_runtime.api.protocol import MAX_CONNECTIONS, LimitedProtocol
from stratarouter_runtime.errors import InvalidSetting

if TYPE_CHECKING:
    from stratarouter_runtime.api.exchange import App

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
BACKLOG: Final = 2048
LAST_ANSWERS: Final = 5
"""Seconds that answers under way get to be sent once nothing runs any more."""


def bind(host: str, port: int, *, asking: bool = False) -> socket.socket:
    """A listening address; port 0 is any free one. Raises `InvalidSetting`.

    On this machine alone, unless the server is `asking` whoever calls for a key.
    """
    address = "127.0.0.1" if host == "localhost" else host
    if not asking and not is_loopback(address):
        raise InvalidSetting(
            f"the server does not bind to {host}: it asks nobody for a key",
            hint="make one (strata keys create TENANT) and leave --dev out, or bind to 127.0.0.1",
        )
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = "no such port" if isinstance(error, OverflowError) else error.strerror or str(error)
        hint = "is another server running? choose another port with --port, or 0 for any"
        raise InvalidSetting(f"cannot listen on {address}:{port}: {reason}", hint=hint) from error
    return listener


def url(listener: socket.socket) -> str:
    """Where clients reach it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    app: App,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    drain: Callable[[], Awaitable[None]],
    connections: int = MAX_CONNECTIONS,
) -> None:
    """Serve until a signal comes; `drain` is awaited while questions are still answered."""
    config = uvicorn.Config(
        app,
        http=type("Protocol", (LimitedProtocol,), {"max_connections": connections}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=LAST_ANSWERS,
    )
    await _Server(config, ready, drain).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Drains before it stops listening."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], drain: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._drain = drain
        self._ending: asyncio.Task[None] | None = None

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.add_signal_handler(each, self._begin_end)
        try:
            yield
        finally:
            _let_signals_kill(loop)

    def _begin_end(self) -> None:
        loop = asyncio.get_running_loop()
        _let_signals_kill(loop)
        self._ending = loop.create_task(self._end())

    async def _end(self) -> None:
        try:
            await self._drain()
        finally:
            self.should_exit = True


def _let_signals_kill(loop: asyncio.AbstractEventLoop) -> None:
    for each in SIGNALS:
        loop.remove_signal_handler(each)
        signal.signal(each, signal.SIG_DFL)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
