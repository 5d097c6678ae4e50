"""Processes that share one database: killed, stopped past their lease, drained; and the database with them."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import httpx2
import pytest
from tests.postgres import Server as Database

WAIT: Final = 60.0
TAKES_OVER: Final = 5.0
"""Seconds within which the others go on."""

AGENTS: Final = '''
"""One that may be called again, one that must not, and one that holds until it may go."""

import asyncio
import os
from pathlib import Path

from stratarouter_runtime.builder import agent

FOLDER = Path(__file__).parent


def noted(file: str, text: str) -> None:
    descriptor = os.open(FOLDER / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{text}\\n".encode())
    os.close(descriptor)


@agent(effect="idempotent")
async def tick(n: int) -> int:
    await asyncio.sleep(0.02)
    return n + 1


@agent(effect="effect", on_crash="fail")
async def pay(n: int) -> int:
    noted("paid", str(n))
    await asyncio.sleep(0.01)
    return n


@agent(effect="idempotent")
async def hold(n: int) -> int:
    noted("held", f"{n} {os.getpid()}")
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)
    return n
'''

WORK: Final = """tcfp: "1.0"
flow: work
agents: [tick, pay]
in: {n: int}
out: {n: int}
do:
  - {id: a, call: tick, with: {n: =n}}
  - {id: b, call: pay, with: {n: =n}}
  - {id: c, call: tick, with: {n: =a}}
  - {id: d, call: tick, with: {n: =c}}
return: {n: =d}
"""

HOLDING: Final = """tcfp: "1.0"
flow: holding
agents: [hold]
in: {n: int}
out: {n: int}
do:
  - {id: a, call: hold, with: {n: =n}}
return: {n: =a}
"""

CALLING: Final = """tcfp: "1.0"
flow: calling
agents: [holding]
in: {n: int}
out: {n: int}
do:
  - {id: a, call: holding, with: {n: =n}}
return: {n: =a.n}
"""

ASKING: Final = """tcfp: "1.0"
flow: asking
in: {n: int}
out: {ok: bool}
do:
  - {id: q, ask: {ok: bool}, time: 1h}
return: {ok: =q.ok}
"""


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """A server of its own: it is stopped and started, with others at work on the shared one."""
    started = Database()
    yield started
    started.remove()


class Process:
    """A serving process, and a client of it."""

    def __init__(self, project: Path, url: str, number: int) -> None:
        self.log = project / f"log {number}"
        inherited = os.environ  # noqa: TID251 - a child inherits the environment
        with self.log.open("w") as lines:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-m", "stratarouter_runtime", "serve", str(project), "--port", "0"],
                cwd=project,
                env={**inherited, "DATABASE_URL": url},
                stdout=subprocess.PIPE,
                stderr=lines,
                text=True,
            )
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], WAIT)[0], "it says nothing"
        self.line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", self.line)
        assert found is not None, self.log.read_text()
        self.http = httpx2.Client(base_url=found[0], timeout=WAIT)

    def start(self, flow: str, n: int, key: str | None = None) -> str:
        """The id of an execution that was acknowledged."""
        headers = {"Prefer": "respond-async"} | ({"Idempotency-Key": key} if key else {})
        body = {"workflow_id": flow, "input": {"n": n}}
        answer = self.http.post("/api/v1/workflows/execute", json=body, headers=headers)
        if answer.status_code == 409 and answer.json()["code"] == "in-flight":
            return str(re.findall(r"exec_[0-9a-f]+", answer.json()["detail"])[0])
        assert answer.status_code in {200, 202}, answer.text
        return str(answer.json()["execution_id"])

    def show(self, execution: str, wait: int = 0) -> dict[str, Any]:
        """An execution as it stands, or after so many seconds."""
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        answer = self.http.get(f"/api/v1/executions/{execution}", headers=headers)
        assert answer.status_code in {200, 202}, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def send(self, how: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(how)

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.communicate(timeout=WAIT)
        self.http.close()


class Cluster:
    """Processes over one database."""

    def __init__(self, project: Path, database: Database) -> None:
        self.project = project
        self.database = database
        self.url = asyncio.run(database.database())
        self.name = self.url.rpartition("/")[2]
        self.processes: list[Process] = []

    def begin(self) -> Process:
        """One process more."""
        self.processes.append(Process(self.project, self.url, len(self.processes)))
        return self.processes[-1]

    def rows(self, query: str) -> list[Any]:
        """Look at the database itself."""
        return asyncio.run(self.database.execute(query, self.name))

    def lines(self, file: str) -> list[str]:
        """What agents noted."""
        path = self.project / file
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def cluster(tmp_path: Path, database: Database) -> Iterator[Cluster]:
    (tmp_path / "agents.py").write_text(AGENTS)
    (tmp_path / "flows").mkdir()
    for text in (WORK, HOLDING, CALLING, ASKING):
        name = text.split()[3]
        (tmp_path / "flows" / f"{name}.yaml").write_text(text)
    built = Cluster(tmp_path, database)
    yield built
    for process in built.processes:
        process.send(signal.SIGCONT)
        process.end()


def until(holds: Callable[[], Any], patience: float = WAIT) -> float:
    """Wait until it holds; the seconds that took."""
    began = monotonic()
    while not holds():
        assert monotonic() - began < patience, "it does not come about"
        sleep(0.02)
    return monotonic() - began


def check_work(cluster: Cluster, asked: Process, executions: dict[int, str]) -> Counter[str]:
    """All came to an end, none twice; nothing was paid twice. How many ended how."""
    ends: Counter[str] = Counter()
    for n, execution in executions.items():
        found = asked.show(execution, wait=30)
        ends[found["status"]] += 1
        if found["status"] == "completed":
            assert found["output"] == {"n": n + 3}
        else:
            assert found["status"] == "failed"
            assert "whether it took effect is not known" in found["error"]["message"]
    paid = Counter(cluster.lines("paid"))
    assert not [n for n, times in paid.items() if times > 1]
    twice = "SELECT execution, seq FROM strata.records GROUP BY execution, seq HAVING count(*) > 1"
    assert cluster.rows(twice) == []
    return ends


@pytest.mark.parametrize("how_many", [2, 3])
def test_a_process_killed_under_load_loses_nothing_and_the_others_take_over(
    cluster: Cluster, how_many: int
) -> None:
    processes = [cluster.begin() for _ in range(how_many)]
    victim, survivor = processes[0], processes[-1]
    executions: dict[int, str] = {}
    with ThreadPoolExecutor(8) as clients:

        def work(n: int) -> None:
            for process in (processes[n % how_many], survivor):
                try:
                    executions[n] = process.start("work", n, key=f"k{n}")
                except httpx2.TransportError:
                    continue
                return

        started = [clients.submit(work, n) for n in range(200)]
        until(lambda: len(executions) > 100)
        victim.send(signal.SIGKILL)
        killed = monotonic()
        for each in started:
            each.result(WAIT)
    assert len(executions) == 200
    owners = "SELECT count(*) FROM strata.executions WHERE status = 'running'"
    until(lambda: cluster.rows(owners) == [(0,)])
    assert monotonic() - killed < TAKES_OVER
    ends = check_work(cluster, survivor, executions)
    assert ends["completed"] > 150


def test_a_process_that_is_stopped_past_its_lease_changes_no_row_and_works_on_after(cluster: Cluster) -> None:
    stale, other = cluster.begin(), cluster.begin()
    held = [stale.start("holding", n) for n in range(20)]
    until(lambda: len(cluster.lines("held")) == 20)
    stale.send(signal.SIGSTOP)
    stopped = monotonic()
    # Called again by the one that took over, with the same keys.
    until(lambda: len(cluster.lines("held")) == 40)
    assert monotonic() - stopped < TAKES_OVER
    (cluster.project / "go").touch()
    for execution in held:
        assert other.show(execution, wait=30)["status"] == "completed"
    everything = (
        "SELECT 'execution', e.execution::text, e::text FROM strata.executions e UNION ALL "
        "SELECT 'record', r.execution::text, r::text FROM strata.records r ORDER BY 1, 2, 3"
    )
    before = cluster.rows(everything)
    stale.send(signal.SIGCONT)
    # Its agents answer now, and it has heard of nothing.
    until(
        lambda: (
            "given up" in stale.log.read_text()
            or cluster.rows("SELECT count(*) FROM strata.processes") == [(2,)]
        )
    )
    sleep(0.5)
    assert cluster.rows(everything) == before
    again = stale.start("work", 1)
    assert stale.show(again, wait=30)["status"] == "completed"
    owners = cluster.rows("SELECT count(*) FROM strata.processes")
    assert owners == [(2,)]


def test_a_process_that_ends_in_good_order_hands_over_at_once(cluster: Cluster) -> None:
    leaving, other = cluster.begin(), cluster.begin()
    waiting = [leaving.start("asking", n) for n in range(10)]
    for execution in waiting:
        leaving.show(execution, wait=10)
    leaving.send(signal.SIGTERM)
    leaving.process.wait(WAIT)
    left = (
        "SELECT count(*) FROM strata.executions e WHERE owner NOT IN (SELECT process FROM strata.processes)"
    )
    assert until(lambda: cluster.rows(left) == [(0,)]) < 2.0
    for execution in waiting:
        answer = other.http.post(
            f"/api/v1/executions/{execution}/answer", json={"step": "q", "value": {"ok": True}}
        )
        assert answer.status_code in {200, 202}, answer.text
        assert other.show(execution, wait=10)["status"] == "completed"


def test_a_killed_process_that_starts_again_goes_on_with_its_own(cluster: Cluster) -> None:
    first = cluster.begin()
    held = [first.start("holding", n) for n in range(30)]
    until(lambda: len(cluster.lines("held")) == 30)
    first.end()
    (cluster.project / "go").touch()
    second = cluster.begin()
    began = monotonic()
    for execution in held:
        assert second.show(execution, wait=10)["status"] == "completed"
    assert monotonic() - began < TAKES_OVER


def test_anybody_may_be_asked_about_what_another_process_drives(cluster: Cluster) -> None:
    driver, asked = cluster.begin(), cluster.begin()
    question, cancelled, paused = (driver.start("asking", n) for n in range(3))
    assert asked.show(question, wait=10)["status"] == "waiting"
    answers = f"/api/v1/executions/{question}/answer"
    wrong = asked.http.post(answers, json={"step": "q", "value": {"ok": "perhaps"}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-input")
    answer = asked.http.post(answers, json={"step": "q", "value": {"ok": True}})
    assert answer.status_code in {200, 202}, answer.text
    assert asked.show(question, wait=10)["output"] == {"ok": True}
    assert asked.http.post(answers, json={"step": "q", "value": {"ok": True}}).status_code == 409
    assert asked.http.post(f"/api/v1/executions/{cancelled}/cancel", json={}).status_code in {200, 202}
    assert asked.show(cancelled, wait=10)["status"] == "cancelled"
    assert asked.http.post(f"/api/v1/executions/{paused}/pause").status_code in {200, 202}
    assert driver.show(paused)["status"] == "paused"
    assert asked.http.post(f"/api/v1/executions/{paused}/resume").status_code in {200, 202}
    answer = driver.http.post(
        f"/api/v1/executions/{paused}/answer", json={"step": "q", "value": {"ok": False}}
    )
    assert answer.status_code in {200, 202}, answer.text
    assert asked.show(paused, wait=10)["output"] == {"ok": False}
    assert cluster.rows("SELECT count(*) FROM strata.mail") == [(0,)]


def test_a_flow_that_is_called_may_be_driven_by_another_process(cluster: Cluster) -> None:
    processes = [cluster.begin() for _ in range(2)]
    calling = [processes[n % 2].start("calling", n) for n in range(20)]
    until(lambda: len(cluster.lines("held")) == 20)
    third = cluster.begin()
    processes[0].send(signal.SIGKILL)
    until(lambda: len(cluster.lines("held")) == 30)
    (cluster.project / "go").touch()
    for n, execution in enumerate(calling):
        found = third.show(execution, wait=20)
        assert (found["status"], found.get("output")) == ("completed", {"n": n}), found
    assert cluster.rows("SELECT count(*) FROM strata.executions") == [(40,)]


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
def test_a_database_that_is_stopped_under_load_loses_nothing(cluster: Cluster, how: signal.Signals) -> None:
    processes = [cluster.begin() for _ in range(2)]
    executions: dict[int, str] = {}
    with ThreadPoolExecutor(8) as clients:

        def work(n: int) -> None:
            executions[n] = processes[n % 2].start("work", n, key=f"k{n}")

        started = [clients.submit(work, n) for n in range(200)]
        until(lambda: len(executions) > 60)
        cluster.database.stop(how)
        sleep(4.0)  # longer than a lease
        cluster.database.start()
        for each in started:
            each.result(WAIT)
    ends = check_work(cluster, processes[1], executions)
    assert ends == {"completed": 200}


def test_a_second_process_on_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text('"""None."""\n')
    (tmp_path / "flow.yaml").write_text(ASKING)
    command = [
        sys.executable,
        "-m",
        "stratarouter_runtime",
        "serve",
        str(tmp_path),
        "--port",
        "0",
        "--store",
        "x.db",
    ]
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603 - our own program
    try:
        assert first.stdout is not None
        assert "serving" in first.stdout.readline()
        second = subprocess.run(  # noqa: S603 - our own interpreter
            command, cwd=tmp_path, capture_output=True, text=True, timeout=WAIT, check=False
        )
        assert second.returncode == 4
        assert f"in use by process {first.pid}" in second.stderr
    finally:
        first.kill()
        first.communicate(timeout=WAIT)
