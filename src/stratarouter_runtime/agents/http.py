"""An agent behind HTTP: POST of the typed input as JSON, the typed output as JSON back.

The step key goes along as `Idempotency-Key`, so that the service can recognise a call it
has answered before. Must never know: how a connection is made, flows, plans or the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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
from stratarouter_runtime.agents.reach import Barred, host_of
from stratarouter_runtime.agents.secrets import SecretMissing, Secrets
from stratarouter_runtime.agents.together import each, read_batch
from stratarouter_runtime.agents.web import Answer, Line, TooLarge, read_capped
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Clock
from stratarouter_runtime.state.events import Usage
from stratarouter_runtime.tcfp.digests import agent_digest
from stratarouter_runtime.tcfp.ir import Batch, Signature
from stratarouter_runtime.tcfp.values import to_json

FIELDS: Final = ("url", "headers", "batch")


class Endpoint(Struct, frozen=True):
    """Where an agent is served, and whether it takes several inputs at once. `version` changes when the service's behaviour does.

    `hosts` is what may be connected to although it is not public. Of the address the host alone is
    part of the agent's identity, among what it `needs`.
    """

    url: str
    headers: Mapping[str, str] = {}
    version: str = ""
    max_output: int = MAX_OUTPUT
    hosts: tuple[str, ...] = ()
    batch: Batch | None = None


class Service(Struct, frozen=True):
    """An agent of this kind as declared."""

    name: AgentName
    signature: Signature
    endpoint: Endpoint

    def build(self, workshop: Workshop) -> HttpAgent:
        """The agent; connects with the first call."""
        if self.endpoint.batch is None:
            return HttpAgent(self, workshop)
        return HttpGroup(self, self.endpoint.batch, workshop)


def read(declaration: Declaration) -> Service | None:
    """Reads `url`, `headers` and `batch`."""
    fields = declaration.fields
    url = read_url(declaration)
    headers = read_headers(declaration)
    if url is None:
        return None
    batch = read_batch(fields.node("batch"), declaration.signature, fields.diagnostics)
    endpoint = Endpoint(url, headers, declaration.version, hosts=declaration.hosts, batch=batch)
    return Service(declaration.name, needing(declaration.signature, url), endpoint)


class HttpAgent(Agent):
    """Belongs to one event loop, and keeps its connections until `close`."""

    kind = "http"
    remote = True

    def __init__(self, service: Service, workshop: Workshop) -> None:
        self.name = service.name
        self.signature = service.signature
        self._endpoint = service.endpoint
        self._clock: Clock = workshop.clock
        self._secrets: Secrets = workshop.secrets.towards(host_of(self._endpoint.url))
        web = workshop.web.allowing(self._endpoint.hosts)
        self._line = Line(web.only((host_of(self._endpoint.url), *self.signature.needs.hosts)))
        self.digest = agent_digest(self.name, "http", self._endpoint.version, self.signature)
        self._shown = shown(self._endpoint.url)
        self._cap = min(self._endpoint.max_output, workshop.max_output)

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        started = self._clock.now()
        sent = to_json(self.signature.input, call.input)
        _, reply = await self._reply(sent, _headers(call), patience_of(call, self.signature, started))
        return self._costed(reply, started)

    def _costed(self, reply: AgentReply, started: int) -> AgentReply:
        cost = self.signature.cost  # a service does not say what a call has cost: its bound counts
        usage = Usage(cost.usd, cost.tokens, ms=(self._clock.now() - started) / 1000)
        return AgentReply(reply.output, reply.failure, usage)

    async def _reply(self, sent: Any, headers: Mapping[str, str], patience: int) -> tuple[int, AgentReply]:
        """The status of the answer, 0 where there was none, and what it says."""
        try:
            async with asyncio.timeout(patience / 1e6):
                return await self._post(sent, headers)
        except TimeoutError:
            return 0, failed(TIMEOUT, f"{self._shown} did not answer within {patience / 1e6:.3f} s")
        except (SecretMissing, Barred) as refused:
            return 0, failed(REFUSED, f"{self.name} cannot be called: {refused}")
        except Exception as error:  # noqa: BLE001 - whatever the network does is a failure of the agent
            return 0, failed(UNAVAILABLE, f"{self._shown} cannot be reached: {type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self._line.close()

    async def _post(self, sent: Any, headers: Mapping[str, str]) -> tuple[int, AgentReply]:
        client = await self._line.client()
        async with client.stream(
            "POST",
            self._endpoint.url,
            content=orjson.dumps(sent),
            headers={**await filled(self._endpoint.headers, self._secrets), **headers},
        ) as response:
            cap, status = self._cap, response.status_code
            try:
                body = await read_capped(response, cap)
            except TooLarge:
                return status, too_large(f"more than {cap:,} bytes", cap)
            return status, self._read_status(response, body)

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
        return self._problem(_problem(body), answered, REFUSED if status < 500 else UNAVAILABLE)

    def _problem(self, problem: dict[str, Any], answered: str, otherwise: str) -> AgentReply:
        """A failure of the kind that it names, where the signature declares that; else of another."""
        own = problem.get("kind")
        if own in self.signature.errors:
            return failed(own, _explanation(problem) or answered, problem.get("data"))
        return failed(otherwise, ": ".join(filter(None, [answered, _explanation(problem)])))

    def _output(self, body: bytes) -> AgentReply:
        try:
            return AgentReply(output=orjson.loads(body))
        except orjson.JSONDecodeError as error:
            return failed(INVALID_OUTPUT, f"{self._shown} did not answer with JSON: {error}")


class HttpGroup(HttpAgent):
    """A service that takes several inputs at once: a list of them, each with its key; a list back.

    An item that comes back is `{"output": …}`, or `{"error": {"kind", "detail", "data"}}`.
    """

    def __init__(self, service: Service, batch: Batch, workshop: Workshop) -> None:
        super().__init__(service, workshop)
        self.batch = batch

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        (reply,) = await self.call_together([call])
        return reply

    async def call_together(self, calls: Sequence[AgentCall]) -> Sequence[AgentReply]:
        """A reply each. Where the service refuses all of them, every input is tried by itself."""
        return await each(calls, self._together)

    async def _together(self, calls: Sequence[AgentCall]) -> list[AgentReply] | AgentReply:
        started = self._clock.now()
        patience = max(patience_of(call, self.signature, started) for call in calls)
        sent = [self._item(call) for call in calls]
        status, whole = await self._reply(sent, {**_JSON, "strata-batch": str(len(calls))}, patience)
        if whole.failure is None:
            return [self._costed(reply, started) for reply in self._read_list(whole.output, len(calls))]
        if status in _SPOILED or whole.failure.kind == INVALID_OUTPUT:
            return self._costed(whole, started) if len(calls) == 1 else whole
        return [self._costed(whole, started)] * len(calls)

    def _item(self, call: AgentCall) -> dict[str, Any]:
        return {
            "key": call.key,
            "execution": call.execution,
            "attempt": call.attempt,
            "seed": call.seed,
            **({"traceparent": call.trace} if call.trace else {}),
            "input": to_json(self.signature.input, call.input),
        }

    def _read_list(self, answer: Any, expected: int) -> list[AgentReply]:
        if not isinstance(answer, list) or len(answer) != expected:
            said = f"{self._shown} was sent {expected} inputs, and did not answer with a list of as many"
            return [failed(INVALID_OUTPUT, said)] * expected
        return [self._read_item(item) for item in answer]

    def _read_item(self, item: Any) -> AgentReply:
        if isinstance(item, dict) and item.keys() == {"output"}:
            return AgentReply(output=item["output"])
        if isinstance(item, dict) and item.keys() == {"error"} and isinstance(item["error"], dict):
            return self._problem(item["error"], f"{self._shown} refused an input", REFUSED)
        said = 'neither {"output": …} nor {"error": {…}}'
        return failed(INVALID_OUTPUT, f"{self._shown} answered an input with {said}")


_SPOILED: Final = frozenset({*range(400, 500), 500} - {408, 429})
"""The statuses that one input may be to blame for."""

_JSON: Final = {
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "identity",
}


def _headers(call: AgentCall) -> dict[str, str]:
    return {
        **_JSON,
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
    return said if isinstance(said, str) else ""
