"""Connections over which clients get only to where they may.

A host is resolved once, all its addresses are judged, and one of these is connected to; the
host's name stays in TLS and in the request. Nothing of the environment takes part: no proxies, no
cookies, no credentials of the machine. Must never know: agents.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import cache
from typing import Any, Final

import httpcore2
import httpx2
from typing_extensions import override

from stratarouter_runtime.agents.reach import Barred, Resolve, barred

CONNECT: Final = 10.0
"""Seconds that a connection may take to open."""
_CONNECTIONS: Final = 64


async def guarded_transport(
    resolve: Resolve | None, allowed: Sequence[str], named: Sequence[str] | None = None
) -> httpx2.AsyncBaseTransport:
    """A transport with connections of its own. `allowed` as `reach.barred` takes it, `named` as `Web`."""
    # Reading the certificates of authorities takes long enough to be felt by everybody else.
    context = await asyncio.to_thread(_context)
    return _Guarded(context, _Door(resolve or system_resolve, allowed, named))


@cache
def _context() -> ssl.SSLContext:
    """One for the process."""
    return httpx2.create_ssl_context(trust_env=False)


def open_client(transport: httpx2.AsyncBaseTransport, cap: int | None = None) -> httpx2.AsyncClient:
    """A client over `transport` that brings nothing along by itself, and reads at most `cap` bytes an answer."""
    return httpx2.AsyncClient(
        transport=transport if cap is None else _Capped(transport, cap),
        timeout=httpx2.Timeout(None, connect=CONNECT),
        trust_env=False,
        follow_redirects=False,
    )


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """What the system says that the addresses of a host are. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]


class _Door(httpcore2.AsyncNetworkBackend):
    """Connects to what was judged, never to what a second look-up would say."""

    def __init__(self, resolve: Resolve, allowed: Sequence[str], named: Sequence[str] | None) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._named = None if named is None else frozenset(map(_as_sent, named))
        self._network = httpcore2.AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        if self._named is not None and host not in self._named:
            raise Barred(f"{host} is none of the hosts that the agent says it needs")
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"{host} could not be resolved in time") from None
        except OSError as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error.strerror or error}") from None
        reason = barred(host, port, addresses, self._allowed)
        if reason:
            raise Barred(reason)
        return await self._first(addresses, port, timeout, socket_options)

    async def _first(
        self,
        addresses: Sequence[str],
        port: int,
        timeout: float | None,  # noqa: ASYNC109 - handed on
        options: Iterable[Any] | None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first address that answers; all addresses have been judged."""
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout, None, options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout, None, options)


def _as_sent(host: str) -> str:
    """A host as connections are asked for it: in lower case, and other letters than ASCII in their encoding."""
    bracketed = f"[{host}]" if ":" in host else host
    return httpx2.URL(f"http://{bracketed}").raw_host.decode("ascii")


class _Guarded(httpx2.AsyncHTTPTransport):
    """The transport of the library over connections of ours, which it takes no argument for."""

    def __init__(self, context: ssl.SSLContext, door: _Door) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=5.0,
            network_backend=door,
        )


class Overrun(httpx2.ReadError):
    """An answer is larger than a client of these connections accepts."""


class _Capped(httpx2.AsyncBaseTransport):
    """A transport whose answers end with an error where they get larger than they may."""

    def __init__(self, transport: httpx2.AsyncBaseTransport, cap: int) -> None:
        self._transport = transport
        self._cap = cap

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _CappedStream(response.stream, self._cap)
        return response

    @override
    async def aclose(self) -> None:
        await self._transport.aclose()


class _CappedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, cap: int) -> None:
        self._stream = stream
        self._left = cap

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            self._left -= len(part)
            if self._left < 0:
                raise Overrun("the answer is larger than is accepted")
            yield part

    @override
    async def aclose(self) -> None:
        await self._stream.aclose()
