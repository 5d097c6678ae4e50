"""The way out: clients for services of others, which get nowhere that nobody was meant to get.

Light, because every project is handed one: what it takes to connect is imported when a client is
opened. Must never know: agents.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import httpx2

    from stratarouter_runtime.agents.reach import Resolve

Client: TypeAlias = "httpx2.AsyncClient"
Answer: TypeAlias = "httpx2.Response"


class TooLarge(Exception):
    """An answer is larger than its reader accepts."""


class Web:
    """Opens clients. `allowed` are the hosts, addresses and networks that are not public and yet permitted.

    `named`, where given, are the only hosts that its clients connect to, public or not. `resolve` and `transport` replace the network, for tests.
    """

    def __init__(
        self,
        allowed: Sequence[str] = (),
        *,
        resolve: Resolve | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        named: Sequence[str] | None = None,
    ) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve
        self._transport = transport
        self._named = named

    def allowing(self, hosts: Sequence[str]) -> Web:
        """The same, with these permitted too."""
        allowed = (*self._allowed, *hosts)
        return Web(allowed, resolve=self._resolve, transport=self._transport, named=self._named)

    def only(self, hosts: Sequence[str]) -> Web:
        """The same, that gets to these hosts and no others, wherever a request or an answer points."""
        return Web(self._allowed, resolve=self._resolve, transport=self._transport, named=hosts)

    async def open(self, *, cap: int | None = None) -> Client:
        """A client with connections of its own, of which no answer has more than `cap` bytes; to be closed.

        Where a host is none to connect to, its requests raise `reach.Barred`. It follows no redirects.
        """
        from stratarouter_runtime.agents.guarded import guarded_transport, open_client  # noqa: PLC0415 - start-up cost

        transport = self._transport or await guarded_transport(self._resolve, self._allowed, self._named)
        return open_client(transport, cap)


class Line:
    """The connections of one agent: opened when it is first called, and again after `close`."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._client: Client | None = None

    async def client(self) -> Client:
        """What its calls go through."""
        if self._client is None:
            client = await self._web.open()
            if self._client is None:
                self._client = client
            else:  # another call was faster
                await client.aclose()
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


async def read_capped(response: Answer, cap: int) -> bytes:
    """The body as sent, at most `cap` bytes. Raises `TooLarge`, without reading on."""
    body = bytearray()
    async for chunk in capped(response, cap):
        body += chunk
    return bytes(body)


async def capped(response: Answer, cap: int) -> AsyncIterator[bytes]:
    """The parts of the body as they come, at most `cap` bytes in all. Raises `TooLarge`."""
    size = 0
    # Raw, because a small compressed answer may be a large one; none was asked for.
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > cap:
            raise TooLarge
        yield chunk
