"""Tools of real MCP servers: a process over its standard streams, and one behind HTTP."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stratarouter_runtime.agents.assembling import assemble
from stratarouter_runtime.agents.declared import read_declared
from stratarouter_runtime.agents.failures import MAX_OUTPUT
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import LOCAL, AgentName, Digest, ExecutionId
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.system import SystemClock

SERVER = Path(__file__).with_name("mcp_server.py")
STDIO = f"command: ['{sys.executable}', '{SERVER}']"
DOCUMENT = """\
agents:
  add: {{ kind: mcp, {server}, in: {{ a: int, b: int }}, out: int, effect: pure }}
  echo: {{ kind: mcp, {server}, tool: say, in: {{ text: string }}, out: string }}
  secret: {{ kind: mcp, {server}, env: {{ TOKEN: "secret://env/TOKEN" }}, out: string }}
  fail: {{ kind: mcp, {server}, out: string }}
  leave: {{ kind: mcp, {server}, out: string }}
  hang: {{ kind: mcp, {server}, out: string, time: 1500ms }}
  nothing: {{ kind: mcp, {server}, out: string }}
  wait: {{ kind: mcp, {server}, in: {{ seconds: float }}, out: string }}
  words: {{ kind: mcp, {server}, in: {{ text: string }}, out: list<string> }}
  side: {{ kind: mcp, {server}, in: {{ number: int }}, out: "[even, odd]" }}
  maybe: {{ kind: mcp, {server}, tool: words, in: {{ text: string }}, out: "list<string> | null" }}
  counts: {{ kind: mcp, {server}, in: {{ text: string }}, out: map<int> }}
  named: {{ kind: mcp, {server}, tool: counts, in: {{ text: string }}, out: {{ result: int }} }}
  say: {{ kind: mcp, {server}, in: {{ text: string }}, out: {{ n: int }} }}
"""
CALL = AgentCall(ExecutionId("exec_1"), LOCAL, Digest("k" * 64), "seed", 1, {})
SECRETS = {"TOKEN": "hush-hush"}


def agents(folder: Path, document: str, web: Web | None = None) -> dict[AgentName, Agent]:
    (folder / "agents.yaml").write_text(document)
    secrets = Secrets(SECRETS)
    workshop = Workshop(clock=SystemClock(), secrets=secrets, web=web or Web())
    made = assemble([], read_declared(folder / "agents.yaml", secrets), workshop)
    return {agent.name: agent for agent in made}


@asynccontextmanager
async def tool(folder: Path, name: str) -> AsyncIterator[Agent]:
    agent = agents(folder, DOCUMENT.format(server=STDIO))[AgentName(name)]
    try:
        yield agent
    finally:
        await agent.close()  # type: ignore[attr-defined]


async def answer(folder: Path, name: str, value: dict[str, Any]) -> AgentReply:
    async with tool(folder, name) as agent:
        return await agent.call(replace(CALL, input=value))


@pytest.mark.parametrize(
    ("name", "value", "output"),
    [
        ("add", {"a": 2, "b": 3}, 5),
        ("echo", {"text": "hi"}, "hi!"),
        ("secret", {}, "[secret]"),
        ("words", {"text": "a b"}, ["a", "b"]),
        ("maybe", {"text": "a b"}, ["a", "b"]),
        ("side", {"number": 3}, "odd"),
        ("counts", {"text": "a b"}, {"result": 2}),
        ("named", {"text": "a b"}, {"result": 2}),
    ],
)
async def test_a_tool_answers(tmp_path: Path, name: str, value: dict[str, Any], output: Any) -> None:
    reply = await answer(tmp_path, name, value)
    assert (reply.output, reply.failure) == (output, None)


@pytest.mark.parametrize(
    ("name", "value", "kind", "said"),
    [
        ("fail", {}, "agent.refused", "the tool fail refused: "),
        ("nothing", {}, "agent.refused", "nothing"),
        ("leave", {}, "agent.unavailable", "the server of the tool leave failed: "),
        ("hang", {}, "timeout", "the tool hang did not answer within 1."),
        ("say", {"text": "hi"}, "agent.invalid_output", "the tool say did not answer with JSON"),
    ],
)
async def test_a_tool_that_does_not_answer_is_a_failure(
    tmp_path: Path, name: str, value: dict[str, Any], kind: str, said: str
) -> None:
    failure = (await answer(tmp_path, name, value)).failure
    assert failure is not None
    assert failure.kind == kind
    assert said in failure.message


async def test_a_server_that_went_away_is_started_again(tmp_path: Path) -> None:
    async with tool(tmp_path, "leave") as agent:
        first, second = [await agent.call(CALL) for _ in range(2)]
    assert [reply.failure is not None and reply.failure.kind for reply in (first, second)] == [
        "agent.unavailable"
    ] * 2


async def test_calls_at_once_share_the_connection(tmp_path: Path) -> None:
    async with tool(tmp_path, "add") as agent:
        calls = [agent.call(replace(CALL, input={"a": n, "b": n})) for n in range(8)]
        assert [reply.output for reply in await asyncio.gather(*calls)] == [0, 2, 4, 6, 8, 10, 12, 14]


async def test_what_one_call_asks_for_breaks_no_other(tmp_path: Path) -> None:
    async with tool(tmp_path, "wait") as agent:
        await agent.call(replace(CALL, input={"seconds": 0.0}))
        long = asyncio.create_task(agent.call(replace(CALL, input={"seconds": 1.0})))
        await asyncio.sleep(0.2)
        refused = (await agent.call(replace(CALL, input={"seconds": -1.0}))).failure
        assert refused is not None
        assert (refused.kind, long.done()) == ("agent.refused", False)
        assert (await long).output == "done"


FLOODING = """
import os, pathlib, sys
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
while True:
    os.write(1, b"x" * 65_536)
"""


def lives(folder: Path) -> list[bool]:
    """Whether each of the processes that have left their number here is still there."""
    return [Path("/proc", path.name).exists() for path in folder.iterdir()]


async def test_a_line_without_an_end_is_not_read_and_its_server_is_ended(tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "flooding.py").write_text(FLOODING)
    server = f"command: ['{sys.executable}', '{tmp_path}/flooding.py', '{tmp_path}/begun']"
    (agent,) = agents(tmp_path, f"agents:\n  a: {{ kind: mcp, {server}, out: string }}\n").values()
    found = [(await agent.call(CALL)).failure for _ in range(2)]
    await agent.close()  # type: ignore[attr-defined]
    told = f"the output has a line without an end; at most {MAX_OUTPUT:,} are accepted"
    assert found == [Failure("limit.output", told)] * 2
    assert lives(tmp_path / "begun") == [False, False]


async def test_a_program_that_is_none_is_unavailability(tmp_path: Path) -> None:
    document = "agents:\n  a: { kind: mcp, command: [/no/such/program], out: string }\n"
    (agent,) = agents(tmp_path, document).values()
    failure = (await agent.call(CALL)).failure
    assert failure is not None
    assert failure.kind == "agent.unavailable"


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), str(port), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            writer.close()
            break
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        await process.wait()


async def test_a_server_behind_http_answers_where_it_is_permitted(tmp_path: Path) -> None:
    async with served() as url:
        document = f"agents:\n  add: {{ kind: mcp, url: '{url}', in: {{ a: int, b: int }}, out: int }}\n"
        (open_,) = agents(tmp_path, f"hosts: [127.0.0.1]\n{document}").values()
        reply = await open_.call(replace(CALL, input={"a": 1, "b": 2}))
        await open_.close()  # type: ignore[attr-defined]
        (barred,) = agents(tmp_path, document).values()
        refused = (await barred.call(replace(CALL, input={"a": 1, "b": 2}))).failure
        await barred.close()  # type: ignore[attr-defined]
    assert (reply.output, reply.failure) == (3, None)
    assert refused is not None
    assert (refused.kind, "127.0.0.1 is not public" in refused.message) == ("agent.refused", True)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("tool: x", "an agent lacks 'url:'"),
        ("command: []", "no program is named"),
        ("command: [a], url: 'https://a.test'", "'url' does not go with 'command'"),
        ("command: [a], env: { T: 'secret://env/NONE' }", "the variable NONE is not set"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, server: str, said: str) -> None:
    with pytest.raises(LinkError, match=said):
        agents(tmp_path, f"agents:\n  a: {{ kind: mcp, {server}, out: string }}\n")


def test_another_tool_is_another_agent(tmp_path: Path) -> None:
    def digest(more: str) -> str:
        (agent,) = agents(
            tmp_path, f"agents:\n  a: {{ kind: mcp, command: [x], {more} out: string }}\n"
        ).values()
        return agent.digest

    assert len({digest(""), digest("tool: b,"), digest("version: '2',")}) == 3
