"""The two services of this example: a model that always answers the same, and a desk that opens tickets."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

import orjson

from stratarouter_runtime.testing.chat_server import ChatServer, Says

ANSWER = '{"team": "billing", "urgent": true}'


class Desk:
    """Opens a ticket; the same one for the same key."""

    def __init__(self) -> None:
        self.tickets: dict[str, str] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        await reader.readexactly(int(headers["content-length"]))
        ticket = self.tickets.setdefault(headers["idempotency-key"], f"T-{len(self.tickets) + 1}")
        body = orjson.dumps({"ticket": ticket})
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


async def main(model_port: int, desk_port: int) -> None:
    """Serve until the process is ended."""
    async with AsyncExitStack() as stack:
        model = ChatServer(Says(ANSWER, tokens=(120, 14)), port=model_port)
        await stack.enter_async_context(model.serving())
        await stack.enter_async_context(await asyncio.start_server(Desk().serve, "127.0.0.1", desk_port))
        sys.stdout.write(f"a model at {model.url}, a desk at http://127.0.0.1:{desk_port}/tickets\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else main(8801, 8802))
