"""An agent behind HTTP: POST of the typed input as JSON, the typed output as JSON back.

The step key goes along as `Idempotency-Key`, so that the service can recognise a call it
has answered before. Nothing of the environment takes part: no proxies, no cookies, no
credentials of the machine, no redirects. Must never know: flows, plans or the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson
from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.agents.failures import (
    INVALID_OUTPUT,
    MAX_OUTPUT,
    RATE_LIMITED,
    REFUSED,
    TIMEOUT,
    UNAVAILABLE,
    failed,
    too_large,
)
from stratarouter_runtime.agents.headers import filled, read_headers
from stratarouter_runtime.agents.kinds import Declaration
from stratarouter_runtime.agents.secrets import SecretMissing, Secrets
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Clock
from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.tcfp.digests import agent_digest
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.values import to_json

if TYPE_CHECKING:
    from httpx2 import AsyncBaseTransport, AsyncClient, Response

FIELDS: Final = ("url", "headers")

_PATIENCE: Final = 300_000_000
"""Microseconds a call may take where neither the caller nor the signature bounds it."""
_CONNECT: Final = 10.0
_CONNECTIONS: Final = 64
_DETAIL: Final = 300
"""Characters of a service's own explanation that a failure repeats."""


class Endpoint(Struct, frozen=True):
    """Where an agent is served. `version` changes when the service's behaviour does.

    The address is no part of the agent's identity: the same service moved is the same agent.
    """

    url: str
    headers: Mapping[str, str] = {}
    version: str = ""
    max_output: int = MAX_OUTPUT


class Service(Struct, frozen=True):
    """An agent of this kind as declared."""

    name: AgentName
    signature: Signature
    endpoint: Endpoint

    def build(self, workshop: Workshop) -> HttpAgent:
        """The agent; connects with the first call."""
        return HttpAgent(self, workshop)


def read(declaration: Declaration) -> Service | None:
    """Reads `url` and `headers`."""
    fields = declaration.fields
    node = fields.need("url", "write url: https://host/path")
    url = fields.text("url")
    headers = read_headers(fields, declaration.secrets)
    if node is None or url is None:
        return None
    if not shown(url):
        fields.diagnostics.add("E134", node.at, "not an address of http or https", "write https://host/path")
        return None
    endpoint = Endpoint(url, headers, declaration.version)
    return Service(declaration.name, declaration.signature, endpoint)


class HttpAgent(Agent):
    """Belongs to one event loop, and keeps its connections until `close`.

    `transport` replaces the network, for tests.
    """

    def __init__(
        self, service: Service, workshop: Workshop, *, transport: AsyncBaseTransport | None = None
    ) -> None:
        self.name = service.name
        self.signature = service.signature
        self._endpoint = service.endpoint
        self._clock: Clock = workshop.clock
        self._secrets: Secrets = workshop.secrets
        self._transport = transport
        self._client: AsyncClient | None = None
        self.digest = agent_digest(self.name, "http", self._endpoint.version, self.signature)
        self._shown = shown(self._endpoint.url)

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        started = self._clock.now()
        reply = await self._reply(call)
        cost = self.signature.cost  # a service does not say what a call has cost: its bound counts
        usage = Usage(cost.usd, cost.tokens, ms=(self._clock.now() - started) / 1000)
        return AgentReply(reply.output, reply.failure, usage)

    async def _reply(self, call: AgentCall) -> AgentReply:
        patience = self._patience(call)
        try:
            async with asyncio.timeout(patience / 1e6):
                return await self._post(call)
        except TimeoutError:
            return failed(TIMEOUT, f"{self._shown} did not answer within {patience / 1e6:.3f} s")
        except SecretMissing as missing:
            return failed(REFUSED, f"{self.name} cannot be called: {missing}")
        except Exception as error:  # noqa: BLE001 - whatever the network does is a failure of the agent
            return failed(UNAVAILABLE, f"{self._shown} cannot be reached: {type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _patience(self, call: AgentCall) -> int:
        if call.deadline is not None:
            return max(0, call.deadline - self._clock.now())
        return self.signature.time or _PATIENCE

    async def _post(self, call: AgentCall) -> AgentReply:
        async with self._connected().stream(
            "POST",
            self._endpoint.url,
            content=orjson.dumps(to_json(self.signature.input, call.input)),
            headers={**await filled(self._endpoint.headers, self._secrets), **_headers(call)},
        ) as response:
            body = await self._read(response)
            return body if isinstance(body, AgentReply) else self._read_status(response, body)

    def _connected(self) -> AsyncClient:
        if self._client is None:
            import httpx2  # noqa: PLC0415 - start-up cost

            self._client = httpx2.AsyncClient(
                transport=self._transport,
                timeout=httpx2.Timeout(None, connect=_CONNECT),
                limits=httpx2.Limits(max_connections=_CONNECTIONS),
                trust_env=False,
                follow_redirects=False,
            )
        return self._client

    async def _read(self, response: Response) -> bytes | AgentReply:
        body = bytearray()
        # Raw, because a small compressed answer may be a large one; none was asked for.
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._endpoint.max_output:
                return too_large(f"more than {self._endpoint.max_output:,} bytes", self._endpoint.max_output)
        return bytes(body)

    def _read_status(self, response: Response, body: bytes) -> AgentReply:
        status = response.status_code
        if 200 <= status < 300:
            return self._output(body)
        answered = f"{self._shown} answered {status} {response.reason_phrase}".rstrip()
        if 300 <= status < 400:
            return failed(REFUSED, f"{answered}: redirects are not followed")
        if status == 429:
            return failed(RATE_LIMITED, answered, _retry_after(response))
        problem = _problem(body)
        own = problem.get("kind")
        if own in self.signature.errors:
            return failed(own, _explanation(problem) or answered, problem.get("data"))
        explained = ": ".join(filter(None, [answered, _explanation(problem)]))
        return failed(REFUSED if status < 500 else UNAVAILABLE, explained)

    def _output(self, body: bytes) -> AgentReply:
        try:
            return AgentReply(output=orjson.loads(body))
        except orjson.JSONDecodeError as error:
            return failed(INVALID_OUTPUT, f"{self._shown} did not answer with JSON: {error}")


def _headers(call: AgentCall) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "idempotency-key": call.key,
        "strata-execution": call.execution,
        "strata-attempt": str(call.attempt),
        "strata-seed": call.seed,
        **({"traceparent": call.trace} if call.trace else {}),
    }


def shown(url: str) -> str:
    """The address without what may be secret (user, password, query); empty where it is none of http."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return ""
    return f"{parts.scheme}://{place}{parts.path}" if usable else ""


def _retry_after(response: Response) -> dict[str, int] | None:
    seconds = response.headers.get("retry-after", "")
    return {"retry_after": int(seconds)} if seconds.isascii() and seconds.isdigit() else None


def _problem(body: bytes) -> dict[str, Any]:
    """The body of an error as a problem document, empty where it is none."""
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _explanation(problem: dict[str, Any]) -> str:
    said = problem.get("detail") or problem.get("message") or problem.get("title")
    return said[:_DETAIL] if isinstance(said, str) else ""
