"""Requests over open connections, as cheaply as they can be made: the measure must not measure its client.

Every connection has one request under way at a time. Must never know: what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from time import perf_counter
from typing import Final, cast
from urllib.parse import urlsplit

from msgspec import Struct
from typing_extensions import override

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


class Load(Struct, frozen=True):
    """What came of a load: answers a second, and the milliseconds of each, shortest first."""

    rate: float
    times: tuple[float, ...]


def request(url: str, path: str, body: bytes) -> bytes:
    """A POST of JSON as bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def load(url: str, sent: bytes, *, clients: int, requests: int, period: float = 0.0) -> Load:
    """Send the same request so many times, each client one after the other.

    With a `period`, each client has one due every so many seconds, the clients evenly apart. What is
    late is sent as soon as it can be, and its time counted from when it was due, so that a server
    which holds up its clients cannot hide it.

    Raises `OSError` where the server is not there, `RuntimeError` for any answer but 200.
    """
    place = urlsplit(url)
    loop = asyncio.get_running_loop()
    left = iter(range(requests))
    times: list[float] = []
    talks = []
    began = perf_counter()
    for number in range(clients):
        ended: asyncio.Future[None] = loop.create_future()
        made = partial(_Talk, sent, left, times, _dues(period, period * number / clients), ended)
        await loop.create_connection(made, place.hostname or "", place.port or 80)
        talks.append(ended)
    await asyncio.gather(*talks)
    return Load(len(times) / (perf_counter() - began), tuple(sorted(times)))


def _dues(period: float, first: float) -> Iterator[float]:
    """When each request of a client is due: always now, without a period."""
    if not period:
        while True:
            yield perf_counter()
    due = perf_counter() + first
    while True:
        yield due
        due += period


class _Talk(asyncio.Protocol):
    """One connection."""

    def __init__(
        self,
        sent: bytes,
        left: Iterator[int],
        times: list[float],
        dues: Iterator[float],
        ended: asyncio.Future[None],
    ) -> None:
        self._sent = sent
        self._left = left
        self._times = times
        self._dues = dues
        self._ended = ended
        self._heard = b""
        self._began = 0.0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # that of uvloop is none by class
        self._next()

    @override
    def data_received(self, data: bytes) -> None:
        self._heard += data
        head = self._heard.find(_END)
        if head < 0:
            return
        at = self._heard.lower().find(_LENGTH, 0, head)
        length = int(self._heard[at + len(_LENGTH) : self._heard.index(b"\r", at)])
        if len(self._heard) < head + len(_END) + length:
            return
        self._answered()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_exception(exc or RuntimeError("the server hung up"))

    def _answered(self) -> None:
        self._times.append((perf_counter() - self._began) * 1_000)
        if not self._heard.startswith(b"HTTP/1.1 200"):
            self._ended.set_exception(RuntimeError(self._heard[:300].decode("latin-1")))
            self._transport.close()
            return
        self._heard = b""
        self._next()

    def _next(self) -> None:
        if next(self._left, None) is None:
            self._ended.set_result(None)
            self._transport.close()
            return
        self._began = next(self._dues)
        if (early := self._began - perf_counter()) > 0:
            asyncio.get_running_loop().call_later(early, self._transport.write, self._sent)
        else:
            self._transport.write(self._sent)
