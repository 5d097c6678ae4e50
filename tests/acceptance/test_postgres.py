"""The runtime on a real PostgreSQL server that is killed under load, and the command line that names one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from tests.postgres import ENCODED, WORD, Server, server

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.bench.flows import chain
from stratarouter_runtime.ids import LOCAL, ExecutionId, FlowId
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import open_module

WAIT: Final = 30.0
FLOW: Final = """tcfp: "1.0"
flow: greet
in: {name: string}
out: {text: string}
do:
  - id: text
    let: '="hello " + name'
return: {text: =text}
"""


@pytest.fixture
def real() -> Server:
    return server()


@pytest.fixture
async def url(real: Server) -> str:
    return await real.database()


def bench_agents() -> Registry:
    return open_module("stratarouter_runtime.bench.agents")


# In process.


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT, signal.SIGINT])
async def test_the_engine_goes_on_when_the_server_was_stopped_and_is_back(
    real: Server, url: str, how: signal.Signals
) -> None:
    done: dict[ExecutionId, Any] = {}
    ended = asyncio.Event()
    async with application(Settings(database_url=url), bench_agents()) as app:
        plan = app.runtime.flows.compile(chain(10))

        async def work(n: int) -> None:
            while not ended.is_set():
                finished = await app.runtime.execute(StartExecution(plan, {"n": n}, FlowId(plan.name)))
                assert finished.status == "completed"
                done[finished.id] = finished.output

        workers = [asyncio.create_task(work(n)) for n in range(20)]
        for _ in range(3):
            await asyncio.sleep(0.3)
            real.stop(how)
            # Long enough for everybody to notice; then it is back, and nobody calls anything.
            await asyncio.sleep(0.3)
            real.start()
            seen = len(done)
            await _more_than(done, seen)
        ended.set()
        await asyncio.gather(*workers)
    await _all_there(url, done)


async def _more_than(done: dict[ExecutionId, Any], seen: int) -> None:
    async with asyncio.timeout(WAIT):
        while len(done) <= seen + 20:  # noqa: ASYNC110  work is all that happens here
            await asyncio.sleep(0.02)


async def _all_there(url: str, done: dict[ExecutionId, Any]) -> None:
    """Every acknowledged end is found by another process, and its journal replays."""
    assert len(done) > 60
    async with application(Settings(database_url=url), Registry(), readonly=True) as app:
        for execution, output in done.items():
            found = await app.store.find(execution)
            assert found is not None
            assert (found.status, found.output) == ("completed", output)
        assert [row.id for row in await app.store.unfinished()] == []
        await _numbered(app, list(done)[::17])


async def _numbered(app: Application, executions: list[ExecutionId]) -> None:
    for execution in executions:
        records = await app.store.read(execution)
        assert [record.seq for record in records] == list(range(len(records)))


async def test_a_store_on_the_command_line_wins(url: str, tmp_path: Path) -> None:
    async with application(Settings(database_url=url), Registry(), store=tmp_path / "s.db") as app:
        assert app.place == str(tmp_path / "s.db")
    async with application(Settings(store=tmp_path / "other.db"), Registry(), store=url) as app:
        assert app.place.startswith("postgresql://postgres@127.0.0.1:")


# As a process.


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "agents.py").write_text('"""No agents."""\n')
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stratarouter_runtime", *arguments]


def environment(url: str) -> dict[str, str]:
    inherited = os.environ  # noqa: TID251 - a child inherits the environment
    return {**inherited, "DATABASE_URL": url}


def strata(project: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter
        command(*arguments),
        cwd=project,
        env=environment(url),
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT,
    )


@pytest.fixture
def served(project: Path, url: str) -> Iterator[tuple[str, str]]:
    """The line that a server says, and where it answers. It writes more lines than a pipe holds."""
    log = project / "log"
    with log.open("w") as lines:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            command("serve", str(project), "--port", "0"),
            cwd=project,
            env=environment(url),
            stdout=subprocess.PIPE,
            stderr=lines,
            text=True,
        )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], WAIT)[0], "it says nothing"
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, log.read_text()
        yield line, found[0]
    finally:
        process.kill()
        process.communicate(timeout=WAIT)


def test_what_runs_is_listed_from_the_database_and_no_file_is_made(project: Path, url: str) -> None:
    ran = strata(project, url, "run", "flow.yaml", "--input", "name=ann")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"text": "hello ann"}
    assert "greet" in strata(project, url, "ps").stdout
    assert not (project / ".strata").exists()


def test_a_database_named_on_the_command_line_is_no_file(real: Server, project: Path, url: str) -> None:
    ran = strata(project, "", "run", "flow.yaml", "--input", "name=ann", "--store", url)
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"text": "hello ann"})
    assert "greet" in strata(project, "", "ps", "--store", url).stdout
    assert "an answer takes" in strata(project, "", "doctor", "--store", url).stdout
    assert strata(project, "", "cache", "stats", "--store", url).returncode == 0
    assert sorted(path.name for path in project.iterdir()) == ["agents.py", "flow.yaml"]


@pytest.mark.parametrize(
    ("word", "database", "said"),
    [("sesame", "postgres", "refused the user postgres"), (ENCODED, "nowhere", "no database nowhere")],
)
def test_what_is_wrong_with_the_database_is_said_without_its_password(
    real: Server, project: Path, word: str, database: str, said: str
) -> None:
    ran = strata(project, real.url(database, word=word), "run", "flow.yaml", "--input", "name=ann")
    assert ran.returncode == 4
    assert said in ran.stderr
    assert "hint: " in ran.stderr
    assert not {word for word in (WORD, ENCODED, "sesame", "Traceback") if word in ran.stderr}


def test_the_doctor_looks_at_the_database(real: Server, project: Path, url: str) -> None:
    assert "has schema 0" in strata(project, url, "doctor").stdout
    strata(project, url, "run", "flow.yaml", "--input", "name=ann")
    well = strata(project, url, "doctor")
    assert re.search(r"ok +store +postgresql://postgres@\S+, an answer takes [0-9.]+ ms", well.stdout)
    ill = strata(project, real.url(word="sesame"), "doctor")
    assert ill.returncode == 4
    assert re.search(r"NO +store .* refused the user postgres", ill.stdout)


def test_a_served_project_outlives_its_database(real: Server, served: tuple[str, str], url: str) -> None:
    line, at = served
    assert f"store: postgresql://postgres@127.0.0.1:{real.port}/" in line
    assert ENCODED not in line
    with httpx2.Client(base_url=at, timeout=WAIT) as http, ThreadPoolExecutor(8) as clients:

        def execute(n: int) -> Any:
            body = {"workflow_id": "greet", "input": {"name": f"q{n}"}}
            answer = http.post("/api/v1/workflows/execute", json=body)
            return answer.status_code, answer.json()

        first = list(clients.map(execute, range(40)))
        waiting = [clients.submit(execute, n) for n in range(40, 400)]
        real.stop(signal.SIGKILL)
        real.start()
        answers = first + [each.result(WAIT) for each in waiting]
        assert [status for status, _ in answers] == [200] * 400
        assert [body["output"]["text"] for _, body in answers] == [f"hello q{n}" for n in range(400)]
        found = {body["execution_id"] for _, body in answers}
    listed = asyncio.run(_listed(url))
    assert found <= {row.id for row in listed if row.status == "completed"}


async def _listed(url: str) -> list[Execution]:
    async with application(Settings(database_url=url), Registry(), readonly=True) as app:
        return await app.store.search(tenant=LOCAL, limit=1_000)
