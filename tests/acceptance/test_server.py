"""`strata serve` as its users have it: a process, its signals, and its store after a kill."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

AGENTS: Final = '''
"""Agents that leave a trace, and one that waits for the file `go`."""

import asyncio
from pathlib import Path

from stratarouter_runtime.builder import agent

FOLDER = Path(__file__).parent


@agent(effect="pure")
async def note(text: str) -> str:
    with (FOLDER / "noted").open("a") as file:
        file.write(text + "\\n")
    return text.upper()


@agent(effect="pure")
async def hold(text: str) -> str:
    (FOLDER / "held").touch()
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)
    return text + "!"
'''

FLOW: Final = """tcfp: "1.0"
flow: two.steps
agents: [note, hold]
in: {query: string}
out: {answer: string}
do:
  - id: a
    call: note
    with: {text: =query}
  - id: b
    call: hold
    with: {text: =a}
return: {answer: =b}
"""

EXECUTE: Final = "/api/v1/workflows/execute"
WAIT: Final = 20.0
"""Seconds that anything may take on a busy machine."""


class Server:
    """A server process, and a client of it."""

    def __init__(self, project: Path) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [*command(project), "--port", "0"],
            cwd=project,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.line = self._first_line()
        found = re.search(r"http://127\.0\.0\.1:\d+", self.line)
        assert found is not None, self.line
        self.http = httpx2.Client(base_url=found[0], timeout=WAIT)

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], WAIT)[0], "it says nothing"
        line = self.process.stdout.readline()
        if not line:
            _, said = self.process.communicate(timeout=WAIT)
            raise AssertionError(said)
        return line

    def execute(self, query: str, **options: Any) -> httpx2.Response:
        body = {"workflow_id": "two.steps", "input": {"query": query}, "options": options}
        return self.http.post(EXECUTE, json=body)

    def ended(self) -> tuple[int, str, str]:
        """Exit code, and what it said beyond the first line."""
        out, err = self.process.communicate(timeout=WAIT)
        return self.process.returncode, out, err

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=WAIT)


def command(project: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "stratarouter_runtime",
        "serve",
        str(project),
        "--store",
        str(project / "s.db"),
    ]


def environment(**more: str) -> dict[str, str]:
    inherited = os.environ  # noqa: TID251 - a child inherits the environment
    own = {name: value for name, value in inherited.items() if not name.startswith(("SERVER_", "STRATA_"))}
    return own | {"PYTHONHASHSEED": "random"} | more


def refused(project: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code and complaint of a server that does not start."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [*command(project), *arguments],
        cwd=project.parent,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def until(what: Callable[[], Any]) -> Any:
    """What it gives, as soon as that is true."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it does not happen")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents.py").write_text(AGENTS)
    (tmp_path / "flow.yaml").write_text(FLOW)
    return tmp_path


@pytest.fixture
def start(project: Path) -> Iterator[Callable[[], Server]]:
    servers: list[Server] = []

    def started() -> Server:
        servers.append(Server(project))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


def test_one_line_says_where_it_answers_and_sigterm_ends_it(
    project: Path, start: Callable[[], Server]
) -> None:
    (project / "go").touch()
    server = start()
    assert "flows: two.steps; agents: 2;" in server.line
    answer = server.execute("hello").json()
    assert (answer["status"], answer["output"]) == ("completed", {"answer": "HELLO!"})
    assert server.http.get("/readyz").status_code == 200
    server.process.send_signal(signal.SIGTERM)
    code, out, err = server.ended()
    assert (code, out) == (0, "")
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_it_drains_it_answers_takes_no_work_and_lets_calls_finish(
    project: Path, start: Callable[[], Server], number: signal.Signals
) -> None:
    server = start()
    execution = server.execute("hello", mode="async").json()["execution_id"]
    until((project / "held").exists)
    server.process.send_signal(number)
    response = until(lambda: _draining(server))
    assert response.json()["code"] == "draining"
    assert int(response.headers["retry-after"]) > 0
    assert server.execute("more").status_code == 503
    assert server.http.get(f"/api/v1/executions/{execution}").json()["status"] == "running"
    (project / "go").touch()
    assert server.ended()[0] == 0
    again = start()
    found = again.http.get(f"/api/v1/executions/{execution}").json()
    assert (found["status"], found["output"]) == ("completed", {"answer": "HELLO!"})
    assert (project / "noted").read_text() == "hello\n"


def _draining(server: Server) -> httpx2.Response | None:
    response = server.http.get("/readyz")
    return response if response.status_code == 503 else None


def test_who_waits_for_an_answer_while_it_drains_gets_it(project: Path, start: Callable[[], Server]) -> None:
    server = start()
    body = json.dumps({"workflow_id": "two.steps", "input": {"query": "hello"}}).encode()
    with socket.create_connection((server.http.base_url.host, server.http.base_url.port or 0)) as wire:
        head = f"POST {EXECUTE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        wire.sendall(head.encode() + body)
        until((project / "held").exists)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: _draining(server))
        (project / "go").touch()
        wire.settimeout(WAIT)
        said = b"".join(iter(lambda: wire.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"HELLO!"' in said
    assert server.ended()[0] == 0


def test_a_second_signal_ends_it_at_once_and_nothing_is_lost(
    project: Path, start: Callable[[], Server]
) -> None:
    server = start()
    execution = server.execute("hello", mode="async").json()["execution_id"]
    until((project / "held").exists)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: _draining(server))
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(WAIT) == -signal.SIGTERM
    assert time.monotonic() - began < 2
    (project / "go").touch()
    again = start()
    assert "taken up again: 1" in again.line
    assert until(lambda: _completed(again, execution))["output"] == {"answer": "HELLO!"}


def test_a_killed_server_goes_on_where_its_journal_ends(project: Path, start: Callable[[], Server]) -> None:
    server = start()
    started = [server.execute(f"q{n}", mode="async").json()["execution_id"] for n in range(5)]
    until(lambda: len((project / "noted").read_text().splitlines()) == 5)
    until(lambda: all(len(_found(server, each)["steps"]) == 1 for each in started))
    server.process.kill()
    server.process.wait(WAIT)
    (project / "go").touch()
    again = start()
    assert "taken up again: 5" in again.line
    outputs = [until(lambda each=each: _completed(again, each))["output"]["answer"] for each in started]  # type: ignore[misc]
    assert outputs == [f"Q{n}!" for n in range(5)]
    assert sorted((project / "noted").read_text().split()) == [f"q{n}" for n in range(5)]
    for execution in started:
        assert again.http.post(f"/api/v1/executions/{execution}/replay").json()["reproducible"] is True


def test_its_log_has_one_line_an_execution_also_for_one_that_a_killed_server_began(
    project: Path, start: Callable[[], Server]
) -> None:
    first = start()
    begun = first.execute("hello", mode="async").json()["execution_id"]
    until((project / "held").exists)
    first.process.kill()
    first.process.wait(WAIT)
    (project / "go").touch()
    second = start()
    until(lambda: _completed(second, begun))
    whole = second.execute("again").json()["execution_id"]
    assert "stratarouter_executions_taken_up_total 1\n" in second.http.get("/metrics").text
    second.process.terminate()
    _, _, err = second.ended()
    lines = [json.loads(line) for line in err.splitlines()]
    ended = {line["execution"]: line for line in lines if line["event"] == "execution ended"}
    assert set(ended) == {begun, whole}
    assert [ended[each]["steps"] for each in (begun, whole)] == [2, 2]
    assert len(ended[begun]["trace"]) == 32
    assert "hello" not in err.lower()
    assert lines[-1]["event"] == "stopping"


def _found(server: Server, execution: str) -> dict[str, Any]:
    found: dict[str, Any] = server.http.get(f"/api/v1/executions/{execution}").json()
    return found


def _completed(server: Server, execution: str) -> dict[str, Any] | None:
    found = _found(server, execution)
    return found if found["status"] == "completed" else None


# What does not start.


def test_only_this_machine_is_listened_on(project: Path) -> None:
    code, said = refused(project, SERVER_HOST="0.0.0.0")  # noqa: S104 - refused
    assert code == 2
    assert "does not bind to 0.0.0.0" in said
    assert "hint: " in said


def test_a_port_that_is_taken_is_said_so(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = refused(project, "--port", str(taken.getsockname()[1]))
    assert code == 2
    assert "cannot listen on 127.0.0.1" in said


def test_a_store_has_one_server(project: Path, start: Callable[[], Server]) -> None:
    start()
    code, said = refused(project, "--port", "0")
    assert code == 4
    assert "hint: " in said


def test_a_flow_with_mistakes_is_shown_with_its_place(project: Path) -> None:
    (project / "flow.yaml").write_text(FLOW.replace("=query}", "=qury}"))
    code, said = refused(project, "--port", "0")
    assert code == 2
    assert "flow.yaml:9:" in said
    assert "^^^^" in said


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("agents.py", "1 / 0", "agents.py:1"),
        ("flows/b.yaml", FLOW, "two.steps"),
        ("flows/b.yaml", FLOW.replace("two.steps", "a b"), "a b"),
    ],
)
def test_a_project_that_cannot_be_served_is_told_why(project: Path, name: str, text: str, says: str) -> None:
    path = project / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    code, said = refused(project, "--port", "0")
    assert code == 2
    assert says in said
    assert said.startswith("error: ")


def test_a_folder_that_is_not_there_is_told(project: Path) -> None:
    code, said = refused(project / "nope", "--port", "0")
    assert code == 2
    assert "no folder" in said
