"""What is promised of every kind of agent that connects somewhere: it gets nowhere that nobody permitted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stratarouter_runtime.agents.assembling import assemble
from stratarouter_runtime.agents.declared import read_declared
from stratarouter_runtime.agents.failures import MAX_OUTPUT
from stratarouter_runtime.agents.fence import Fenced
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.ids import LOCAL, Digest, ExecutionId
from stratarouter_runtime.ports import AgentCall
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.system import SystemClock

REMOTE = {
    "http": "kind: http, url: '{url}/act', headers: {{ x-key: secret://env/KEY }}",
    "llm": "kind: llm, url: '{url}', model: m, prompt: '{{{{do}}}}', key: secret://env/KEY",
    "mcp": "kind: mcp, url: '{url}/mcp', headers: {{ x-key: secret://env/KEY }}",
}
FORMS = {
    "127.0.0.1": "",
    "localhost": "",
    "[::ffff:127.0.0.1]": "",
    "2130706433": "",
    "0x7f.1": "",
    "0.0.0.0": "",  # noqa: S104 - not bound to
    "169.254.169.254": "",
    "name.test": "fec0::1",
    "other.test": "10.0.0.1",
}
"""Hosts that are not public -> what a resolver says that they are; empty where the system says it."""
CALL = AgentCall(ExecutionId("exec_1"), LOCAL, Digest("k" * 64), "seed", 1, {"do": "answer"})


class Server:
    """Answers everything with the same, and remembers what it was asked."""

    def __init__(self, answer: str = "200 OK\r\ncontent-type: application/json", body: str = "{}") -> None:
        self.answer = f"HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        self.heads: list[bytes] = []
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer.encode())
        writer.close()


class Names:
    """A resolver that answers each question otherwise than the one before, and the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]


def agent(folder: Path, kind: str, url: str, web: Web, permitted: str = "") -> Fenced:
    path = folder / "agents.yaml"
    hosts = f"hosts: ['{permitted}']\n" if permitted else ""
    path.write_text(
        f"{hosts}agents:\n  it: {{ {REMOTE[kind].format(url=url)}, in: {{ do: string }}, out: int, time: 10s }}\n"
    )
    secrets = Secrets({"KEY": "hush-hush"})
    workshop = Workshop(clock=SystemClock(), secrets=secrets, web=web)
    (built,) = assemble([], read_declared(path, secrets), workshop)
    assert isinstance(built, Fenced)
    return built


async def failures(called: Fenced, calls: int = 1) -> list[Failure]:
    found = [(await called.call(CALL)).failure for _ in range(calls)]
    await called.close()
    return [failure for failure in found if failure is not None]


@pytest.fixture(params=REMOTE)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("host", FORMS)
async def test_what_is_not_public_is_not_connected_to(kind: str, host: str, tmp_path: Path) -> None:
    web = Web(resolve=Names(FORMS[host])) if FORMS[host] else Web()
    async with Server().serving() as server:
        (failure,) = await failures(agent(tmp_path, kind, f"http://{host}:{server.port}", web))
        assert (failure.kind, "not public" in failure.message) == ("agent.refused", True)
        assert server.heads == []


async def test_a_name_that_is_another_address_by_now_is_judged_anew(kind: str, tmp_path: Path) -> None:
    async with Server().serving() as server:
        url, permitted = f"http://service.test:{server.port}", f"127.0.0.1:{server.port}"
        web = Web(resolve=Names("127.0.0.1", "10.0.0.1"))
        *_, failure = await failures(agent(tmp_path, kind, url, web, permitted), calls=2)
        assert failure.kind == "agent.refused"
        assert "service.test is 10.0.0.1, which is not public" in failure.message
        assert len(server.heads) == 1


async def test_an_answer_is_read_no_further_than_it_may_go(kind: str, tmp_path: Path) -> None:
    async with Server(body="x" * (MAX_OUTPUT + 65_536)).serving() as server:
        url, permitted = f"http://127.0.0.1:{server.port}", "127.0.0.1"
        (failure,) = await failures(agent(tmp_path, kind, url, Web(), permitted))
    assert failure.kind == "limit.output"


async def test_what_a_server_answers_is_in_no_log(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said = "200 OK\r\ncontent-type: application/json\r\nx-said: hush-hush"
    async with Server(said, "hush-hush").serving() as server:
        url, permitted = f"http://127.0.0.1:{server.port}", "127.0.0.1"
        (failure,) = await failures(agent(tmp_path, kind, url, Web(), permitted))
        assert b"hush-hush" in server.heads[0]
    assert "hush-hush" not in failure.message
    assert "hush-hush" not in caplog.text


async def test_a_redirect_leads_nowhere_and_takes_no_secret_along(kind: str, tmp_path: Path) -> None:
    async with Server().serving() as other:
        moved = f"307 Moved\r\nlocation: http://127.0.0.1:{other.port}/mcp"
        async with Server(moved).serving() as server:
            url, permitted = f"http://127.0.0.1:{server.port}", "127.0.0.1"
            (failure,) = await failures(agent(tmp_path, kind, url, Web(), permitted))
        assert failure.kind in {"agent.refused", "agent.unavailable"}
        assert b"hush-hush" in server.heads[0]
        assert other.heads == []
