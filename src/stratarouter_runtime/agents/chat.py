"""One question to a chat endpoint and what it said, whole or as it comes.

The protocol is that of OpenAI's chat completions, which most endpoints speak. Must never know:
why something is asked, or what becomes of the answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec
import orjson
from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.agents.failures import (
    INVALID_OUTPUT,
    RATE_LIMITED,
    REFUSED,
    UNAVAILABLE,
    retry_after,
)
from stratarouter_runtime.agents.prices import Tokens
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Answer, Line, capped, read_capped
from stratarouter_runtime.state.events import Failure

Listening: TypeAlias = Callable[[str], None]
"""Hears each piece of text as it comes."""


class NoAnswer(Exception):
    """The endpoint did not answer, or not with an answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ToolCall(Struct, frozen=True):
    """What the model wants to have called; `arguments` are JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


class Said(Struct, frozen=True):
    """What a model said. `tokens` is None where the endpoint does not count them."""

    text: str
    tools: tuple[ToolCall, ...] = ()
    refusal: str = ""
    finish: str = ""
    tokens: Tokens | None = None

    def scrubbed(self, secrets: Secrets) -> Said:
        """The same without secrets: what goes on to tools and into messages has none."""
        tools = tuple(ToolCall(tool.id, tool.name, secrets.scrub(tool.arguments)) for tool in self.tools)
        text, refusal = secrets.scrub(self.text), secrets.scrub(self.refusal)
        return replace(self, text=text, tools=tools, refusal=refusal)


class Endpoint(Struct, frozen=True):
    """Where to ask: `shown` is the address without secrets, `cap` the bytes an answer may have."""

    url: str
    shown: str
    cap: int


async def ask(
    line: Line,
    endpoint: Endpoint,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    now: Callable[[], int],
    listening: Listening | None = None,
) -> Said:
    """Ask once; with `listening`, for pieces as they come.

    Raises `NoAnswer`, `TooLarge`, `Barred`, and whatever the network raises.
    """
    streamed = {"stream": True, "stream_options": {"include_usage": True}} if listening else {}
    client = await line.client()
    content = orjson.dumps({**body, **streamed})
    async with client.stream("POST", endpoint.url, content=content, headers=headers) as response:
        if response.status_code != 200:
            raise NoAnswer(_refusal(endpoint, response, await _explained(response, endpoint.cap), now()))
        if listening is not None and "text/event-stream" in response.headers.get("content-type", ""):
            return await _pieces(capped(response, endpoint.cap), endpoint, listening)
        said = _whole(await read_capped(response, endpoint.cap), endpoint)
    if listening is not None and said.text:
        listening(said.text)
    return said


def _refusal(endpoint: Endpoint, response: Answer, explained: str, now: int) -> Failure:
    status = response.status_code
    told = f"{endpoint.shown} answered {status} {response.reason_phrase}".rstrip()
    told = f"{told}: {explained}" if explained else told
    if status == 429:
        return Failure(RATE_LIMITED, told, retry_after(response.headers.get("retry-after", ""), now))
    return Failure(UNAVAILABLE if status >= 500 or status == 408 else REFUSED, told)


async def _explained(response: Answer, cap: int) -> str:
    """What an endpoint says of its error, if it says it as most do."""
    try:
        problem = orjson.loads(await read_capped(response, min(cap, 64 * 1024)))
        error = problem.get("error", problem)
        said = error if isinstance(error, str) else error.get("message")
    except Exception:  # noqa: BLE001 - the status tells enough
        return ""
    return said if isinstance(said, str) else ""


# Whole answers.


class _Function(Struct):
    """Pieces may repeat a name as null."""

    name: str | None = None
    arguments: str | None = None


class _Tool(Struct):
    id: str | None = None
    function: _Function = msgspec.field(default_factory=_Function)
    index: int | None = None

    def call(self) -> ToolCall:
        """What the model wants, as far as it has said it."""
        return ToolCall(self.id or "", self.function.name or "", self.function.arguments or "")


class _Message(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Tool] | None = None


class _Choice(Struct):
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Body(Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_DECODER: Final = msgspec.json.Decoder(_Body)


def _decoded(data: bytes, endpoint: Endpoint) -> _Body:
    try:
        body = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NoAnswer(
            Failure(INVALID_OUTPUT, f"{endpoint.shown} sent no chat completion: {error}")
        ) from None
    if body.error is not None:
        raise NoAnswer(Failure(UNAVAILABLE, f"{endpoint.shown} broke off with an error"))
    return body


def _whole(data: bytes, endpoint: Endpoint) -> Said:
    body = _decoded(data, endpoint)
    if not body.choices or body.choices[0].message is None:
        raise NoAnswer(Failure(INVALID_OUTPUT, f"{endpoint.shown} sent a chat completion without a message"))
    choice, message = body.choices[0], body.choices[0].message
    return Said(
        text=message.content or "",
        tools=tuple(tool.call() for tool in message.tool_calls or ()),
        refusal=message.refusal or "",
        finish=choice.finish_reason or "",
        tokens=_tokens(body.usage),
    )


def _tokens(usage: _Usage | None) -> Tokens | None:
    if usage is None or usage.prompt_tokens is None:
        return None
    return Tokens(max(0, usage.prompt_tokens), max(0, usage.completion_tokens or 0))


# Answers in pieces.


class _Growing:
    """What has been said so far."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.tools: dict[int, _Tool] = {}
        self.finish = ""
        self.usage: _Usage | None = None

    def take(self, body: _Body, listening: Listening) -> None:
        self.usage = body.usage or self.usage
        for choice in body.choices[:1]:
            self.finish = choice.finish_reason or self.finish
            delta = choice.delta or _Message()
            if delta.content:
                self.text.append(delta.content)
                listening(delta.content)
            self.refusal += [delta.refusal] if delta.refusal else []
            for piece in delta.tool_calls or ():
                self._tool(piece)

    def _tool(self, piece: _Tool) -> None:
        tool = self.tools.setdefault(piece.index or 0, _Tool())
        tool.id = tool.id or piece.id
        tool.function.name = (tool.function.name or "") + (piece.function.name or "")
        tool.function.arguments = (tool.function.arguments or "") + (piece.function.arguments or "")

    def said(self) -> Said:
        tools = (self.tools[index] for index in sorted(self.tools))
        return Said(
            text="".join(self.text),
            tools=tuple(tool.call() for tool in tools),
            refusal="".join(self.refusal),
            finish=self.finish,
            tokens=_tokens(self.usage),
        )


async def _pieces(parts: AsyncIterator[bytes], endpoint: Endpoint, listening: Listening) -> Said:
    growing = _Growing()
    async for line in _lines(parts):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return growing.said()
        growing.take(_decoded(data, endpoint), listening)
    if growing.finish:  # some endpoints say nothing after the last piece
        return growing.said()
    raise NoAnswer(Failure(UNAVAILABLE, f"{endpoint.shown} closed the stream in the middle of its answer"))


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = bytearray()
    async for part in parts:
        rest += part
        if b"\n" not in part:
            continue
        *whole, last = bytes(rest).split(b"\n")
        rest = bytearray(last)
        for line in whole:
            yield line.rstrip(b"\r")
    if rest:
        yield bytes(rest)
