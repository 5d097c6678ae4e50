"""`strata cancel`, `fork` and `diff`, and going on with flows that call flows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stratarouter_runtime.cli.app import run

AGENTS = """
from typing import TypedDict
from stratarouter_runtime import AgentError, agent

class N(TypedDict):
    n: int

@agent(effect="pure")
def add(n: int) -> N:
    if n == 13:
        raise AgentError("agent.refused", "not thirteen")
    return {"n": n + 1}
"""

FLOW = """
tcfp: "1.0"
flow: main
agents: {add: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int, ask: bool}
out: {n: int}
do:
  - {id: a, call: add, with: {n: =n}}
  - {id: q, if: =ask, ask: bool, time: 1h}
  - {id: b, call: add, with: {n: =a.n}}
return: =b
"""

INNER = FLOW.replace("flow: main", "flow: inner")
OUTER = """
tcfp: "1.0"
flow: outer
agents: [inner]
in: {n: int}
out: {n: int}
do:
  - {id: q, ask: bool, time: 1h}
  - {id: i, call: inner, with: {n: =n, ask: false}}
return: =i
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "agents.py").write_text(AGENTS)
    (tmp_path / "flow.yaml").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def strata(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run([*arguments, "--store", "s.db"]) == code, capsys.readouterr().err
    return capsys.readouterr().out


def started(capsys: pytest.CaptureFixture[str], *inputs: str, code: int = 0) -> str:
    given = [part for name in inputs for part in ("--input", name)]
    row = json.loads(strata(capsys, "run", "flow.yaml", *given, "--json", code=code))
    return str(row["id"])


def test_a_fork_answers_otherwise_and_the_difference_is_shown(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = started(capsys, "n=1", "ask=false")
    row = json.loads(strata(capsys, "fork", first, "--step", "0", "--output", '{"n": 50}', "--json"))
    assert row["output"] == {"n": 51}
    told = strata(capsys, "diff", first, row["id"])
    assert told.splitlines()[:3] == ["a", '  - {"n":2}', '  + {"n":50}']
    found = json.loads(strata(capsys, "diff", first, row["id"], "--json"))
    assert [each["step"] for each in found] == ["0", "2", ""]
    assert "no difference" in strata(capsys, "diff", first, first)


def test_a_fork_with_another_input_keeps_the_rest_of_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = started(capsys, "n=13", "ask=false", code=1)
    assert json.loads(strata(capsys, "fork", failed, "--input", "n=5", "--json"))["output"] == {"n": 7}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--step", "9"], "no result of step '9'"),
        (["--step", "0", "--output", "{"], "--output:1:2: not JSON"),
        (["--step", "0", "--output", '{"n": 1, "n": 2}'], "stands twice"),
        (["--input", "m=1"], "no input 'm'"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    first = started(capsys, "n=1", "ask=false")
    assert run(["fork", first, *arguments, "--store", "s.db"]) == 2
    assert said in capsys.readouterr().err


def test_a_waiting_execution_is_cancelled_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waiting = started(capsys, "n=1", "ask=true")
    row = json.loads(strata(capsys, "cancel", waiting, "--reason", "enough", "--json", code=1))
    assert (row["status"], row["failure"]["message"]) == ("cancelled", "enough")
    assert run(["cancel", waiting, "--store", "s.db"]) == 2
    assert "has finished" in capsys.readouterr().err


def test_an_execution_that_calls_a_flow_goes_on_without_that_flow_at_hand(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "flows").mkdir()
    (project / "flows" / "inner.yaml").write_text(INNER)
    (project / "flow.yaml").write_text(OUTER)
    waiting = started(capsys, "n=1")
    (project / "flows" / "inner.yaml").unlink()
    row = json.loads(strata(capsys, "answer", waiting, "q", "true", "--json"))
    assert row["output"] == {"n": 3}


def test_a_waiting_execution_goes_on_with_another_version(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = started(capsys, "n=1", "ask=true")
    (project / "later.yaml").write_text(FLOW.replace("=a.n}", "=a.n + 100}"))
    (project / "other.yaml").write_text(FLOW.replace("with: {n: =n}", "with: {n: =n + 1}"))
    assert run(["migrate", waiting, "--flow", "other.yaml", "--store", "s.db"]) == 2
    assert "record 1 is Returned of step '0', but a has another input" in capsys.readouterr().err
    row = json.loads(strata(capsys, "migrate", waiting, "--flow", "later.yaml", "--by", "ann", "--json"))
    assert row["status"] == "waiting"
    assert "goes on with plan" in strata(capsys, "show", waiting)
    assert json.loads(strata(capsys, "answer", waiting, "q", "true", "--json"))["output"] == {"n": 103}
    assert "reproducible" in strata(capsys, "replay", waiting)
