"""What the tests of the API stand on: agents that do as they are told, flows, and a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from tests.http import documented
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.api.app import create_app
from stratarouter_runtime.api.exchange import Service
from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply, Entropy
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.state.events import Failure, Usage
from stratarouter_runtime.system import SystemEntropy
from stratarouter_runtime.tcfp.ir import Cost, Signature
from stratarouter_runtime.tcfp.types import STRING, Type, labelled, record
from stratarouter_runtime.wiring import Application, application

BASE: Final = "http://127.0.0.1:8080"
EXECUTE: Final = "/api/v1/workflows/execute"
PROBLEM: Final = {"type", "title", "status", "detail", "instance", "code", "trace_id", "errors", "hint"}

ECHO: Final = """tcfp: "1.0"
flow: echo
agents: [say]
in: {query: string}
out: {answer: string}
do:
  - id: a
    call: say
    with: {text: =query}
return: {answer: =a}
"""

HOLD: Final = ECHO.replace("say", "hold").replace("echo", "hold")
BOOM: Final = ECHO.replace("say", "boom").replace("echo", "boom")
ROUTED: Final = """tcfp: "1.0"
flow: routed
agents: [say, tell]
in: {query: string}
out: {answer: string, by: [say, tell]}
do:
  - id: r
    route: =query
    among: [say, tell]
    with: {text: =query}
    rules: [{when: '=query == "t"', pick: tell}]
return: {answer: =r.out, by: =r.by}
"""
ASKING: Final = """tcfp: "1.0"
flow: asking
agents: [say]
in: {query: string}
out: {ok: bool}
do:
  - id: a
    call: say
    with: {text: =query}
  - id: approve
    ask: bool
    from: boss
    show: {text: =a}
    time: 1h
return: {ok: =approve}
"""
PRIVATE: Final = """tcfp: "1.0"
flow: private
agents: [look, count]
in: {query: string}
out: {n: string}
do:
  - id: who
    call: look
    with: {text: =query}
  - id: n
    call: count
    with: {who: =who}
return: {n: =n}
"""


class Acting(Agent):
    """An agent whose answer is a function of the call."""

    def __init__(
        self, name: str, signature: Signature, act: Callable[[AgentCall], Awaitable[AgentReply]]
    ) -> None:
        self.name = AgentName(name)
        self.signature = signature
        self.digest = Digest(name.encode().hex().ljust(64, "0"))
        self._act = act
        self.calls: list[AgentCall] = []

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        self.calls.append(call)
        return await self._act(call)


class Stage:
    """The agents of the tests; `gate` lets `hold` answer."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        text = record({"text": STRING})
        pii = labelled(STRING, frozenset({"pii"}))
        self.say = Acting("say", _signature(text, STRING, Cost(0.01, 100)), self._say)
        self.registry = Registry(
            [
                self.say,
                Acting("tell", _signature(text, STRING, Cost(), "telling"), self._say),
                Acting("hold", _signature(text, STRING, Cost()), self._hold),
                Acting("boom", _signature(text, STRING, Cost()), self._boom),
                Acting("look", _signature(text, pii, Cost()), self._say),
                Acting(
                    "count", Signature(record({"who": pii}), STRING, accepts=frozenset({"pii"})), self._count
                ),
            ]
        )

    async def _say(self, call: AgentCall) -> AgentReply:
        return AgentReply(call.input["text"].upper(), usage=Usage(0.0021, 10, 5, 1.5))

    async def _count(self, call: AgentCall) -> AgentReply:
        return AgentReply(str(len(call.input["who"])))

    async def _hold(self, call: AgentCall) -> AgentReply:
        await self.gate.wait()
        return AgentReply("held")

    async def _boom(self, call: AgentCall) -> AgentReply:
        return AgentReply(failure=Failure("agent.refused", "will not", {"why": "no"}), usage=Usage(0.5))


def _signature(input_: Type, output: Type, cost: Cost, about: str = "saying") -> Signature:
    return Signature(input_, output, effect="pure", cost=cost, about=about)


class Client:
    """A client of one running application."""

    def __init__(self, http: httpx2.AsyncClient, app: Application, service: Service, stage: Stage) -> None:
        self.http = http
        self.app = app
        self.service = service
        self.stage = stage

    async def deploy(self, name: str, source: str, **headers: str) -> httpx2.Response:
        """PUT a flow in YAML."""
        path = f"/api/v1/workflows/{name}"
        sent = {"content-type": "application/yaml"} | headers
        return await self.http.put(path, content=source.encode(), headers=sent)

    async def execute(
        self, name: str, query: str = "hi", headers: dict[str, str] | None = None, **options: Any
    ) -> httpx2.Response:
        """Execute a flow whose input is a query."""
        body = {"workflow_id": name, "input": {"query": query}, "options": options}
        return await self.http.post(EXECUTE, json=body, headers=headers)

    async def post(self, body: bytes, **headers: str) -> httpx2.Response:
        """POST these bytes to execute."""
        sent = {"content-type": "application/json"} | headers
        return await self.http.post(EXECUTE, content=body, headers=sent)


@asynccontextmanager
async def running(
    store: Path | str = ":memory:",
    stage: Stage | None = None,
    entropy: Entropy | None = None,
    settings: Settings | None = None,
    *,
    asking: bool = False,
) -> AsyncIterator[Client]:
    """A client of an application on this store, in this process."""
    stage = stage or Stage()
    async with application(settings or Settings(encoder="lexical"), stage.registry, store=store) as app:
        service = Service(
            app.runtime,
            app.observatory,
            entropy or SystemEntropy(),
            "1.2.3",
            app.place,
            door=app.tenancy.keys if asking else None,
            gate=app.tenancy.gate,
        )
        transport = httpx2.ASGITransport(app=create_app(service))
        hooks = {"response": [documented.check]}
        async with httpx2.AsyncClient(transport=transport, base_url=BASE, event_hooks=hooks) as http:
            yield Client(http, app, service, stage)
            stage.gate.set()


def check_problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Hold a response against RFC 9457 and this API's own fields; the document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert set(found) == PROBLEM
    assert (found["status"], found["code"], found["type"]) == (status, code, f"/problems/{code}")
    assert found["title"]
    assert found["detail"]
    assert "Traceback" not in response.text
    return found
