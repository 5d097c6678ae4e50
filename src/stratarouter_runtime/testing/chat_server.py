"""A chat endpoint that says what it was told to: a real server on a port of this machine.

It speaks the protocol of chat completions, whole and in pieces, and breaks it in every way that
endpoints do. Must never know: agents.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import orjson
from msgspec import Struct

_PIECE: Final = 7
"""Characters of a text that is said in pieces."""


class Says(Struct, frozen=True):
    """An answer. `tools` are names and arguments; `tokens` in and out, None where they are not counted."""

    text: str = ""
    tools: tuple[tuple[str, Any], ...] = ()
    refusal: str = ""
    finish: str = "stop"
    tokens: tuple[int, int] | None = (10, 5)


class Answers(Struct, frozen=True):
    """Any other answer of HTTP; a `length` that is stated may be longer than the body."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None


class Breaks(Struct, frozen=True):
    """Begins the answer in pieces and closes the connection after `pieces` of them."""

    text: str
    pieces: int = 1


class Hangs(Struct, frozen=True):
    """Reads the question and never answers."""


class Floods(Struct, frozen=True):
    """An answer of that many bytes."""

    size: int


Script: TypeAlias = Says | Answers | Breaks | Hangs | Floods


class ChatServer:
    """Answers the questions with the script in order, and the last of it again; on a free port where it is 0.

    `requests` are the bodies it was sent, `headers` and `targets` theirs, `sent` the bytes it could get rid of.
    """

    def __init__(self, *script: Script, port: int = 0) -> None:
        self._port = port
        self._script = list(script)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.targets: list[str] = []
        self.sent = 0
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatServer]:
        """Serve while the body runs, at `url`."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        serving: set[asyncio.Task[None]] = set()
        self._serving = serving
        try:
            yield self
        finally:
            server.close()
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._serving.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One question and its answer; whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
            if name
        }
        asked = orjson.loads(await reader.readexactly(int(headers.get("content-length", "0"))))
        self.requests.append(asked)
        self.targets.append(head[0].split(" ")[1])
        self.headers.append(headers)
        script = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        match script:
            case Says():
                await self._say(script, writer, streamed=bool(asked.get("stream")))
                return True
            case Answers():
                await self._send(writer, _head(script) + script.body)
            case Breaks():
                frames = _frames(Says(script.text))[: script.pieces]
                await self._send(writer, _STREAM + b"".join(map(_chunk, frames)))
            case Hangs():
                await reader.read()
            case Floods():
                await self._flood(writer, script.size)
        return False

    async def _say(self, says: Says, writer: asyncio.StreamWriter, *, streamed: bool) -> None:
        if streamed:
            frames = (*_frames(says), b"data: [DONE]\n\n")
            await self._send(writer, _STREAM + b"".join(map(_chunk, frames)) + b"0\r\n\r\n")
            return
        body = orjson.dumps(_whole(says))
        await self._send(writer, _head(Answers(body=body)) + body)

    async def _flood(self, writer: asyncio.StreamWriter, size: int) -> None:
        await self._send(writer, _head(Answers(length=size)))
        block = b" " * 65_536
        for _ in range(size // len(block)):
            await self._send(writer, block)

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()
        self.sent += len(data)


_STREAM: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _head(answer: Answers) -> bytes:
    length = len(answer.body) if answer.length is None else answer.length
    lines = [f"HTTP/1.1 {answer.status} Said", f"content-length: {length}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return "\r\n".join([*lines, "", ""]).encode()


def _chunk(frame: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(frame), frame)


def _tools(says: Says) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "id": f"call_{index}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": given if isinstance(given, str) else orjson.dumps(given).decode(),
            },
        }
        for index, (name, given) in enumerate(says.tools)
    ]


def _usage(says: Says) -> dict[str, Any]:
    if says.tokens is None:
        return {}
    taken, made = says.tokens
    return {"usage": {"prompt_tokens": taken, "completion_tokens": made, "total_tokens": taken + made}}


def _whole(says: Says) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": says.text or None}
    if says.tools:
        message["tool_calls"] = _tools(says)
    if says.refusal:
        message["refusal"] = says.refusal
    finish = "tool_calls" if says.tools else says.finish
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **_usage(says)}


def _frames(says: Says) -> list[bytes]:
    """The answer in pieces, each an event."""
    deltas: list[dict[str, Any]] = [
        {"content": says.text[start : start + _PIECE]} for start in range(0, len(says.text), _PIECE)
    ]
    deltas += [{"refusal": says.refusal}] if says.refusal else []
    for tool in _tools(says):
        arguments = tool["function"]["arguments"]
        half = len(arguments) // 2
        first = {**tool, "function": {"name": tool["function"]["name"], "arguments": arguments[:half]}}
        deltas += [
            {"tool_calls": [first]},
            {"tool_calls": [{"index": tool["index"], "function": {"arguments": arguments[half:]}}]},
        ]
    bodies: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    finish = "tool_calls" if says.tools else says.finish
    bodies.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if says.tokens is not None:
        bodies.append({"choices": [], **_usage(says)})
    return [b"data: %b\n\n" % orjson.dumps(body) for body in bodies]
