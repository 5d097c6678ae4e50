from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import orjson
import pytest
from msgspec.structs import replace
from tests.clocks import Hand

from stratarouter_runtime.agents.addresses import shown
from stratarouter_runtime.agents.http import Endpoint, HttpAgent, Service
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId
from stratarouter_runtime.ports import AgentCall, AgentReply
from stratarouter_runtime.state.events import Failure, Usage
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.types import BYTES, STRING, record

URL = "https://user:hush@agents.test/pay?token=hush"
SHOWN = "https://agents.test/pay"
SIGNATURE = Signature(
    record({"text": STRING, "scan": BYTES}), record({"n": STRING}), errors=("card_declined",)
)
CALL = AgentCall(
    ExecutionId("exec_1"), LOCAL, Digest("k" * 64), "seed", 2, {"text": "a", "scan": b"\x00\xff"}
)

Answer = Callable[[httpx2.Request], httpx2.Response]


def built(
    endpoint: Endpoint, signature: Signature = SIGNATURE, transport: httpx2.AsyncBaseTransport | None = None
) -> HttpAgent:
    web = Web(["127.0.0.1"], transport=transport)
    workshop = Workshop(clock=Hand(1_000_000), secrets=Secrets({"TOKEN": "hush"}), web=web)
    return HttpAgent(Service(AgentName("pay"), signature, endpoint), workshop)


async def ask(answer: Answer, call: AgentCall = CALL, *, headers: dict[str, str] | None = None) -> AgentReply:
    endpoint = Endpoint(URL, headers or {}, "1", max_output=1_000)
    agent = built(endpoint, transport=httpx2.MockTransport(answer))
    try:
        return await agent.call(call)
    finally:
        await agent.close()


def response(status: int, body: Any = None, headers: dict[str, str] | None = None) -> httpx2.Response:
    """As from a network: not read before it is asked for."""

    async def content() -> AsyncIterator[bytes]:
        yield body if isinstance(body, bytes) else orjson.dumps(body)

    return httpx2.Response(status, content=content(), headers=headers)


def replying(status: int, body: Any = None, **headers: str) -> Answer:
    return lambda _request: response(status, body, headers)


async def test_the_input_goes_out_as_json_with_the_step_key() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return response(200, {"n": "1"})

    reply = await ask(answer, headers={"x-api-key": "t"})
    assert reply == AgentReply(output={"n": "1"}, usage=Usage())
    (request,) = seen
    assert request.method == "POST"
    assert orjson.loads(request.content) == {"text": "a", "scan": "AP8="}
    assert request.headers["idempotency-key"] == CALL.key
    assert request.headers["x-api-key"] == "t"
    assert request.headers["strata-attempt"] == "2"
    assert request.headers["accept-encoding"] == "identity"


async def test_a_header_of_the_endpoint_cannot_replace_the_key() -> None:
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.extend(request.headers.get_list("idempotency-key"))
        return response(200, {})

    await ask(answer, headers={"idempotency-key": "mine"})
    assert seen == [CALL.key]


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (
            replying(429, {}, **{"retry-after": "30"}),
            Failure("agent.rate_limited", f"{SHOWN} answered 429 Too Many Requests", {"retry_after": 30}),
        ),
        (
            replying(429, {}, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}),
            Failure("agent.rate_limited", f"{SHOWN} answered 429 Too Many Requests", {"retry_after": 1792567679}),
        ),
        (
            replying(422, {"detail": "no such card"}),
            Failure("agent.refused", f"{SHOWN} answered 422 Unprocessable Content: no such card"),
        ),
        (replying(404, b"<html>"), Failure("agent.refused", f"{SHOWN} answered 404 Not Found")),
        (
            replying(503, {"title": "down"}),
            Failure("agent.unavailable", f"{SHOWN} answered 503 Service Unavailable: down"),
        ),
        (
            replying(302, b"", location="https://elsewhere.test"),
            Failure("agent.refused", f"{SHOWN} answered 302 Found: redirects are not followed"),
        ),
        (
            replying(402, {"kind": "card_declined", "detail": "no funds", "data": {"code": 5}}),
            Failure("card_declined", "no funds", {"code": 5}),
        ),
        (
            replying(402, {"kind": "undeclared", "detail": "no"}),
            Failure("agent.refused", f"{SHOWN} answered 402 Payment Required: no"),
        ),
        (replying(402, {"kind": ["card_declined"]}), Failure("agent.refused", f"{SHOWN} answered 402 Payment Required")),
    ],
)  # fmt: skip
async def test_a_status_becomes_a_kind(answer: Answer, failure: Failure) -> None:
    assert (await ask(answer)).failure == failure


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"n": ', b"NaN", b"\xff", b"[" * 900])
async def test_what_is_no_json_is_invalid_output(body: bytes) -> None:
    reply = await ask(replying(200, body))
    assert reply.failure is not None
    assert reply.failure.kind == "agent.invalid_output"
    assert f"{SHOWN} did not answer with JSON" in reply.failure.message


async def test_reading_stops_at_the_cap() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 400

    reply = await ask(lambda _request: httpx2.Response(200, content=endless()))
    assert reply.failure is not None
    assert reply.failure.kind == "limit.output"
    assert "more than 1,000 bytes" in reply.failure.message
    assert sent == 3


async def test_a_compressed_answer_is_not_unpacked() -> None:
    reply = await ask(replying(200, b"\x1f\x8b\x08", **{"content-encoding": "gzip"}))
    assert reply.failure is not None
    assert reply.failure.kind == "agent.invalid_output"


@pytest.mark.parametrize(
    "error", [httpx2.ConnectError("refused"), httpx2.ReadError("reset"), RuntimeError("odd")]
)
async def test_a_broken_connection_is_unavailability(error: Exception) -> None:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        raise error

    reply = await ask(answer)
    assert reply.failure == Failure(
        "agent.unavailable", f"{SHOWN} cannot be reached: {type(error).__name__}: {error}"
    )


async def never() -> AsyncIterator[bytes]:
    await asyncio.sleep(60)
    yield b""


@pytest.mark.parametrize("deadline", [1_030_000, 1_000_000, 5])
async def test_the_deadline_of_the_caller_is_kept(deadline: int) -> None:
    reply = await ask(
        lambda _request: httpx2.Response(200, content=never()), replace(CALL, deadline=deadline)
    )
    assert reply.failure is not None
    assert reply.failure.kind == "timeout"


async def test_without_a_deadline_the_signature_bounds_the_call() -> None:
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, content=never()))
    agent = built(Endpoint(URL), replace(SIGNATURE, time=20_000), transport)
    reply = await agent.call(CALL)
    await agent.close()
    assert reply.failure == Failure("timeout", f"{SHOWN} did not answer within 0.020 s")


async def test_being_cancelled_is_no_failure() -> None:
    task = asyncio.ensure_future(ask(lambda _request: httpx2.Response(200, content=never())))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "url",
    ["", "pay", "ftp://x/y", "file:///etc/passwd", "https://", "//host/x", "http://[::1", "http://h:x/"],
)
def test_an_address_that_is_none_has_nothing_to_show(url: str) -> None:
    assert shown(url) == ""


async def test_a_secret_is_resolved_when_it_is_sent() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return response(200, {"n": "1"})

    await ask(answer, headers={"x-api-key": "Bearer secret://env/TOKEN"})
    assert seen[0].headers["x-api-key"] == "Bearer hush"


async def test_a_secret_that_has_gone_refuses_the_call() -> None:
    reply = await ask(replying(200, {}), headers={"authorization": "secret://env/GONE"})
    assert reply.failure == Failure("agent.refused", "pay cannot be called: the variable GONE is not set")


def test_version_changes_the_digest_and_address_does_not() -> None:
    def digest(url: str, version: str) -> Digest:
        return built(Endpoint(url, version=version)).digest

    assert digest("https://a.test", "1") == digest("https://b.test", "1") != digest("https://a.test", "2")


# Over a real connection.


async def served(answer: bytes, call: AgentCall = CALL, *, repeat: bool = False) -> tuple[AgentReply, bytes]:
    """What the agent makes of these bytes from a socket, and the request that the socket saw."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        try:
            writer.write(answer)
            while repeat:
                writer.write(b"190\r\n" + b" " * 400 + b"\r\n")
                await writer.drain()
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    agent = built(Endpoint(f"http://127.0.0.1:{port}/pay", max_output=1_000))
    async with server:
        reply = await agent.call(call)
        await agent.close()
    return reply, seen[0]


async def test_a_service_answers_over_a_socket_whatever_proxies_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    reply, request = await served(b'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"n":"1"}')
    assert reply.output == {"n": "1"}
    assert request.startswith(b"POST /pay HTTP/1.1\r\n")
    assert b"idempotency-key: " + CALL.key.encode() in request.lower()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", "agent.unavailable"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "agent.unavailable"),
        (b"no such protocol\r\n\r\n", "agent.unavailable"),
        (b"HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n", "agent.refused"),
    ],
    ids=["hangs-up", "hangs-up-half-way", "no-http", "redirects"],
)  # fmt: skip
async def test_a_service_that_misbehaves_is_a_failure(answer: bytes, kind: str) -> None:
    reply, _ = await served(answer)
    assert reply.failure is not None
    assert reply.failure.kind == kind


async def test_an_endless_answer_is_cut_off() -> None:
    reply, _ = await served(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", repeat=True)
    assert reply.failure is not None
    assert reply.failure.kind == "limit.output"


async def test_nobody_there_is_unavailability() -> None:
    agent = built(Endpoint("http://127.0.0.1:9/pay"))
    reply = await agent.call(CALL)
    await agent.close()
    assert reply.failure is not None
    assert reply.failure.kind == "agent.unavailable"
    assert "http://127.0.0.1:9/pay cannot be reached: ConnectError" in reply.failure.message
