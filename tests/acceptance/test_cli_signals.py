"""Signals and kills in the middle of a run: it stops in order, or at once, and goes on where it stood."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.commandline import WAIT, command, environment, start, strata

FLOW = """tcfp: "1.0"
flow: two.steps
agents: {first: {in: {}, out: int, effect: pure}, hold: {in: {n: int}, out: int, effect: pure}}
out: int
do:
  - {id: a, call: first, with: {}}
  - {id: b, call: hold, with: {n: =a}}
return: =b
"""
AGENTS = """import time
from pathlib import Path
from stratarouter_runtime.builder import agent

HERE = Path(__file__).parent

@agent(effect="pure")
def first() -> int:
    with (HERE / "first").open("a") as file:
        file.write("called\\n")
    return 20

@agent(effect="pure")
def hold(n: int) -> int:
    (HERE / "held").touch()
    while not (HERE / "go").exists():
        time.sleep(0.01)
    return n + 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "agents.py").write_text(AGENTS)
    return tmp_path


@pytest.fixture
def running(project: Path) -> Iterator[subprocess.Popen[str]]:
    """A run in the middle of its second call."""
    process = start("run", "flow.yaml", "--store", "s.db", cwd=project)
    end = time.monotonic() + WAIT
    while not (project / "held").exists():
        assert time.monotonic() < end, "it does not get there"
        time.sleep(0.01)
    yield process
    process.kill()
    process.communicate(timeout=WAIT)


def goes_on(project: Path) -> None:
    """The one execution there is ends as if nothing had happened, its first call made once."""
    (project / "go").touch()
    row = the_one(project)
    if row["status"] != "completed":
        ended = strata("resume", row["id"], "--store", "s.db", cwd=project)
        assert (ended.code, ended.out) == (0, "21\n")
    assert (project / "first").read_text() == "called\n"
    assert strata("replay", row["id"], "--store", "s.db", cwd=project).code == 0


def the_one(project: Path) -> dict[str, Any]:
    (row,) = strata("ps", "--json", "--store", "s.db", cwd=project).json
    found: dict[str, Any] = row
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_the_call_finish_and_keeps_its_answer(
    project: Path, running: subprocess.Popen[str], number: signal.Signals
) -> None:
    running.send_signal(number)
    time.sleep(0.2)
    assert running.poll() is None, "it did not wait for the call"
    (project / "go").touch()
    out, err = running.communicate(timeout=WAIT)
    assert (running.returncode, out) == (128 + number, "")
    assert f"stopping on {number.name}: calls under way may finish" in err
    assert f"hint: strata resume {the_one(project)['id']} --store s.db\n" in err
    assert "Traceback" not in err
    goes_on(project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(
    project: Path, running: subprocess.Popen[str], number: signal.Signals
) -> None:
    running.send_signal(number)
    time.sleep(0.2)
    running.send_signal(number)
    began = time.monotonic()
    out, err = running.communicate(timeout=WAIT)
    assert time.monotonic() - began < 2
    assert (running.returncode, out) == (128 + number, "")
    assert "Traceback" not in err
    goes_on(project)


def test_what_is_killed_goes_on_where_its_journal_ends(project: Path, running: subprocess.Popen[str]) -> None:
    running.kill()
    running.communicate(timeout=WAIT)
    assert the_one(project)["status"] == "running"
    goes_on(project)


def test_a_reader_that_leaves_ends_nothing(project: Path) -> None:
    (project / "go").touch()
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        command("run", "flow.yaml", "--store", "s.db"),
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 0
    assert b"completed" in err
    assert b"Traceback" not in err
    assert the_one(project)["status"] == "completed"
