"""An agent behind HTTP: POST of the typed input as JSON, the typed output as JSON back.

The step key goes along as `Idempotency-Key`, so that the service can recognise a call it
has answered before. Must never know: how a connection is made, flows, plans or the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import orjson
from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.agents.addresses import needing, read_url, shown
from stratarouter_runtime.agents.failures import (
    INVALID_OUTPUT,
    MAX_OUTPUT,
    RATE_LIMITED,
    REFUSED,
    TIMEOUT,
    UNAVAILABLE,
    failed,
    patience_of,
    retry_after,
    too_large,
)
from stratarouter_runtime.agents.headers import filled, read_headers
from stratarouter_runtime.agents.kinds import Declaration
from stratarouter_runtime.agents.reach import Barred
from stratarouter_runtime.agents.secrets import SecretMissing, Secrets
from stratarouter_runtime.agents.web import Answer, Line, TooLarge, read_capped
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Clock
from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.tcfp.digests import agent_digest
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.values import to_json

FIELDS: Final = ("url", "headers")

_DETAIL: Final = 300
"""Characters of a service's own explanation that a failure repeats."""


class Endpoint(Struct, frozen=True):
    """Where an agent is served. `version` changes when the service's behaviour does.

    `hosts` is what may be connected to although it is not public. Of the address the host alone is
    part of the agent's identity, among what it `needs`.
    """

    url: str
    headers: Mapping[str, str] = {}
    version: str = ""
    max_output: int = MAX_OUTPUT
    hosts: tuple[str, ...] = ()


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
    url = read_url(declaration)
    headers = read_headers(fields, declaration.secrets)
    if url is None:
        return None
    endpoint = Endpoint(url, headers, declaration.version, hosts=declaration.hosts)
    return Service(declaration.name, needing(declaration.signature, url), endpoint)


class HttpAgent(Agent):
    """Belongs to one event loop, and keeps its connections until `close`."""

    def __init__(self, service: Service, workshop: Workshop) -> None:
        self.name = service.name
        self.signature = service.signature
        self._endpoint = service.endpoint
        self._clock: Clock = workshop.clock
        self._secrets: Secrets = workshop.secrets
        self._line = Line(workshop.web.allowing(self._endpoint.hosts))
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
        patience = patience_of(call, self.signature, self._clock.now())
        try:
            async with asyncio.timeout(patience / 1e6):
                return await self._post(call)
        except TimeoutError:
            return failed(TIMEOUT, f"{self._shown} did not answer within {patience / 1e6:.3f} s")
        except (SecretMissing, Barred) as refused:
            return failed(REFUSED, f"{self.name} cannot be called: {refused}")
        except Exception as error:  # noqa: BLE001 - whatever the network does is a failure of the agent
            return failed(UNAVAILABLE, f"{self._shown} cannot be reached: {type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self._line.close()

    async def _post(self, call: AgentCall) -> AgentReply:
        client = await self._line.client()
        async with client.stream(
            "POST",
            self._endpoint.url,
            content=orjson.dumps(to_json(self.signature.input, call.input)),
            headers={**await filled(self._endpoint.headers, self._secrets), **_headers(call)},
        ) as response:
            try:
                body = await read_capped(response, self._endpoint.max_output)
            except TooLarge:
                return too_large(f"more than {self._endpoint.max_output:,} bytes", self._endpoint.max_output)
            return self._read_status(response, body)

    def _read_status(self, response: Answer, body: bytes) -> AgentReply:
        status = response.status_code
        if 200 <= status < 300:
            return self._output(body)
        answered = f"{self._shown} answered {status} {response.reason_phrase}".rstrip()
        if 300 <= status < 400:
            return failed(REFUSED, f"{answered}: redirects are not followed")
        if status == 429:
            return failed(
                RATE_LIMITED,
                answered,
                retry_after(response.headers.get("retry-after", ""), self._clock.now()),
            )
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
