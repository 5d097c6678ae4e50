"""What is promised of every kind of agent: one table, and each promise over real processes and sockets."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
import wasmtime
from msgspec.structs import replace

from stratarouter_runtime.agents.discovery import load_project
from stratarouter_runtime.agents.failures import TIMEOUT
from stratarouter_runtime.agents.fence import Fenced
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.ids import AgentName, Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import WITHDRAWN, Agent, AgentCall, AgentReply
from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.cells import BoxedCells
from stratarouter_runtime.sandbox.governor.shares import Room
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.testing.chat_server import Answers, ChatServer, Floods, Hangs, Says, Script
from stratarouter_runtime.wiring import application

MIB = 1024 * 1024
TENANT = Tenant("acme")
WALLED = ("process", "sandbox", "python-in-a-box", "wasm", "command")
FENCED = ("function", "coroutine", *WALLED, "http", "llm", "mcp")
KINDS = (*FENCED, "flow")
"""A flow has the circuits of the agents that it calls, and none of its own."""
NO_WALLS = any(features.found()[each] for each in features.needed("sandbox"))

FUNCTIONS = """
import asyncio, os, time
from stratarouter_runtime.builder import Cost, agent

COST = Cost(usd=0.01, tokens=100)

@agent(name="coroutine", effect="pure", cost=COST)
async def coroutine(do: str) -> str:
    if do == "hang":
        await asyncio.sleep(3_600)
    return said(do)

@agent(name="function", effect="pure", cost=COST)
def function(do: str) -> str:
    if do == "hang":
        time.sleep(3)
    return said(do)

@agent(name="process", effect="pure", cost=COST, isolation="process", time="20s")
def process(do: str) -> str:
    if do == "hang":
        while True:
            pass
    if do == "fail":
        os._exit(3)
    return said(do)

def said(do: str) -> str:
    if do == "fail":
        raise RuntimeError("out of order")
    return {"large": "x" * 5_000, "secret": "it is hush-hush"}.get(do, "fine")
"""

TEXT = """
def run(do):
    if do == "hang":
        while True:
            pass
    if do == "fail":
        raise ValueError("out of order")
    if do == "large":
        return "x" * 5000
    return "it is hush-hush" if do == "secret" else "fine"
"""

SHELL = """read given; case "$given" in
*hang*) while :; do :; done;;
*fail*) exit 3;;
*large*) i=0; while [ $i -lt 500 ]; do printf xxxxxxxxxx; i=$((i+1)); done;;
*secret*) printf 'it is hush-hush';;
*) printf fine;; esac"""

# The input is {"do":"answer"}: the letter at 7 tells what to do.
MODULE = """(module
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 16384))
  (data (i32.const 16) "\\22fine\\22")
  (data (i32.const 32) "\\22it is hush-hush\\22")
  (data (i32.const 1024) "\\22LARGE\\22")
  (func (export "alloc") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (global.get $next) (local.get $size)))
    (local.get $at))
  (func $told (param $at i32) (param $size i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $size))))
  (func (export "run") (param $at i32) (param $size i32) (result i64)
    (local $do i32)
    (local.set $do (i32.load8_u (i32.add (local.get $at) (i32.const 7))))
    (if (i32.eq (local.get $do) (i32.const 104)) (then (loop $on (br $on))))
    (if (i32.eq (local.get $do) (i32.const 102)) (then unreachable))
    (if (i32.eq (local.get $do) (i32.const 108)) (then (return (call $told (i32.const 1024) (i32.const 5002)))))
    (if (i32.eq (local.get $do) (i32.const 115)) (then (return (call $told (i32.const 32) (i32.const 17)))))
    (call $told (i32.const 16) (i32.const 6))))
""".replace("LARGE", "x" * 5_000)

DECLARED = """
hosts: [127.0.0.1]
agents:
  sandbox: {{kind: sandbox, code: {text}, {common}}}
  python-in-a-box: {{kind: sandbox, engine: python, code: {text}, {common}}}
  wasm: {{kind: wasm, module: {module}, fuel: 1000000000000, {common}}}
  command: {{kind: command, command: [{shell}, -c, {script}], prints: text, {common}}}
  http: {{kind: http, url: "{url}/act", headers: {{x-key: secret://env/TOKEN}}, {common}}}
  llm: {{kind: llm, url: "{chat}", key: secret://env/TOKEN, model: m, prompt: "{{{{do}}}}", {common}}}
  mcp: {{kind: mcp, command: ["{python}", "{tools}"], tool: act, env: {{TOKEN: secret://env/TOKEN}}, {common}}}
"""
FLOW = """
tcfp: "1.0"
flow: flow
agents:
  coroutine: { in: { do: string }, out: string, effect: pure, cost: { usd: 0.01, tokens: 100 } }
in: { do: string }
out: string
do:
  - { id: said, call: coroutine, with: { do: =do } }
return: =said
"""
COMMON = "in: {do: string}, out: string, effect: pure, cost: {usd: 0.01, tokens: 100}, time: 20s"
SHELLS = Path("/bin/sh").resolve()


class Acting:
    """A service of HTTP that does as it is told."""

    def __init__(self) -> None:
        self.calls = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        do = orjson.loads(await reader.readexactly(length))["do"]
        if do == "hang":
            await reader.read()
        status = b"500 Broken" if do == "fail" else b"200 OK"
        said = {"large": "x" * 5_000, "secret": "it is hush-hush"}.get(do, "fine")
        body = orjson.dumps(said)
        writer.write(
            b"HTTP/1.1 %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (status, len(body), body)
        )
        writer.close()


CHATS: dict[str, Script] = {
    "hang": Hangs(),
    "fail": Answers(status=500),
    "large": Floods(200_000),
    "secret": Says("it is hush-hush", tokens=None),
    "answer": Says("fine", tokens=None),
}


class Troupe:
    """One agent of each kind."""

    def __init__(self, agents: dict[str, Agent], chat: ChatServer) -> None:
        self._agents = agents
        self._chat = chat
        self._calls = count()

    def circuit(self, kind: str) -> str:
        """How the circuit of an agent stands for whoever calls here."""
        found = self._agents[kind]
        assert isinstance(found, Fenced)
        return found.circuits.of(TENANT).state

    async def call(self, kind: str, do: str, patience: float | None = 20.0) -> AgentReply:
        """What the agent replies to being told this, within so many seconds."""
        self._chat._script = [CHATS[do]]
        deadline = None if patience is None else SystemClock().now() + int(patience * 1e6)
        key = Digest(f"{next(self._calls):064x}")
        given = AgentCall(ExecutionId("exec_1"), TENANT, key, "5eed" * 8, 1, {"do": do}, deadline)
        async with asyncio.timeout(30):
            return await self._agents[kind].call(given)

    async def kind_of(self, kind: str, do: str, patience: float = 20.0) -> str:
        """The kind of the failure."""
        failure = (await self.call(kind, do, patience)).failure
        return "" if failure is None else failure.kind


def readable(folder: Path) -> None:
    """Workers are another user where this is root, and have to read the project."""
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.geteuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o055)


@asynccontextmanager
async def troupe(folder: Path, **changed: Any) -> AsyncIterator[Troupe]:
    readable(folder)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(Acting().serving())
        chat = await stack.enter_async_context(ChatServer(Hangs()).serving())
        (folder / "agents.py").write_text(FUNCTIONS)
        (folder / "agents.yaml").write_text(
            DECLARED.format(
                common=COMMON,
                text=orjson.dumps(TEXT).decode(),
                module=base64.b64encode(wasmtime.wat2wasm(MODULE)).decode(),
                shell=SHELLS,
                script=orjson.dumps(SHELL).decode(),
                url=url,
                chat=chat.url,
                python=sys.executable,
                tools=Path(__file__).with_name("acting_tools.py"),
            )
        )
        cells = BoxedCells(SystemClock(), Room(4_000, 2_048 * MIB))
        secrets = Secrets({"TOKEN": "hush-hush"})
        await secrets.fill("secret://env/TOKEN")
        workshop = Workshop(
            clock=SystemClock(), secrets=secrets, web=Web(), cells=cells, commands=(str(SHELLS),)
        )
        registry = load_project(folder, replace(workshop, **changed))
        stack.push_async_callback(cells.close)
        app = await stack.enter_async_context(application(Settings(), registry, store=":memory:"))
        plan = app.runtime.flows.compile(FLOW)
        await app.runtime.flows.offer(plan, tenant=TENANT)
        flow = await app.runtime.flow_agent(AgentName("flow"), plan.digest, TENANT)
        assert flow is not None
        yield Troupe({"flow": flow, **{name: registry[AgentName(name)] for name in registry}}, chat)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name in WALLED and NO_WALLS:
        pytest.skip("the kernel lacks what walls need")
    return name


async def test_an_answer_comes_with_what_it_took(kind: str, tmp_path: Path) -> None:
    async with troupe(tmp_path) as all_:
        reply = await all_.call(kind, "answer")
        assert (reply.output, reply.failure) == ("fine", None)
        assert reply.usage is not None
        assert (reply.usage.usd, reply.usage.tokens_in) == (0.01, 100)
        assert reply.usage.ms >= 0


async def test_a_failure_is_a_value_and_the_next_call_is_answered(kind: str, tmp_path: Path) -> None:
    async with troupe(tmp_path) as all_:
        assert await all_.kind_of(kind, "fail") == "agent.unavailable"
        assert (await all_.call(kind, "answer")).output == "fine"


async def test_a_deadline_is_kept(kind: str, tmp_path: Path) -> None:
    async with troupe(tmp_path) as all_:
        await all_.call(kind, "answer")  # what it takes to begin is no part of the measure
        began = SystemClock().now()
        if kind in {"function", "coroutine"}:  # the runtime's own timer ends these, by withdrawing the call
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await all_.call(kind, "hang", 0.5)
        else:
            assert await all_.kind_of(kind, "hang", 0.5) in {TIMEOUT, "limit.time"}
        assert SystemClock().now() - began < 5_000_000
        assert (await all_.call(kind, "answer")).output == "fine"


async def test_a_call_that_is_withdrawn_leaves_nothing_behind(kind: str, tmp_path: Path) -> None:
    async with troupe(tmp_path) as all_:
        await all_.call(kind, "answer")
        task = asyncio.create_task(all_.call(kind, "hang", None))
        await asyncio.sleep(0.3)
        task.cancel(WITHDRAWN)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await all_.call(kind, "answer")).output == "fine"
        if kind in FENCED:
            assert all_.circuit(kind) == "closed"


@pytest.mark.parametrize("kind", FENCED, indirect=True)
async def test_the_circuit_opens_after_five_failures_and_says_when_to_come_back(
    kind: str, tmp_path: Path
) -> None:
    async with troupe(tmp_path) as all_:
        for _ in range(5):
            assert await all_.kind_of(kind, "fail") == "agent.unavailable"
        reply = await all_.call(kind, "answer")
        assert reply.failure is not None
        assert "is not called for now: 5 calls in a row have failed" in reply.failure.message
        assert reply.failure.data["retry_after"] > 0


async def test_a_secret_that_was_given_out_does_not_come_back(kind: str, tmp_path: Path) -> None:
    told: list[str] = []

    def hear(exchange: Any) -> None:
        told.append(exchange.received.text)

    async with troupe(tmp_path, listener=hear) as all_:
        assert (await all_.call(kind, "secret")).output == "it is [secret]"
        assert told == ['"it is [secret]"']


async def test_more_than_an_answer_may_have_is_refused(kind: str, tmp_path: Path) -> None:
    async with troupe(tmp_path, max_output=2_000) as all_:
        reply = await all_.call(kind, "large")
        assert reply.failure is not None
        assert reply.failure.kind == "limit.output", reply.failure
        assert (await all_.call(kind, "answer")).output == "fine"
