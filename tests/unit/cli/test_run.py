from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

from stratarouter_runtime.cli import app
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.errors import StoreFull
from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.storage.sqlite import open_store

FLOW: Final = """\
tcfp: "1.0"
flow: greet
agents: {polish: {in: {text: string}, out: {text: string}, effect: pure, cost: {usd: 0.5}}}
in: {name: string, n: int?}
out: {text: string, n: int?}
do:
  - {id: p, call: polish, with: {text: '="hello " + name'}}
return: {text: =p.text, n: =n}
"""
PYTHON: Final = """\
from dataclasses import dataclass
import time
from stratarouter_runtime.builder import Cost, agent

@dataclass
class Polished:
    text: str

@agent(effect="pure", cost=Cost(usd=0.5))
def polish(text: str) -> Polished:
    if "slow" in text:
        time.sleep(0.5)
    if "boom" in text:
        raise ValueError("boom")
    return Polished(text.title())
"""
ASKING: Final = """\
tcfp: "1.0"
flow: asking
in: {}
out: string
do: [{id: q, ask: '[yes, no]', from: boss, time: 1h}]
return: =q
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "ask.yaml").write_text(ASKING)
    (tmp_path / "agents.py").write_text(PYTHON)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRATA_STORE", str(tmp_path / "store.db"))
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert app.run(["ps", "--json"]) == Exit.OK
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_the_output_is_on_standard_output_and_the_story_beside_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["run", "flow.yaml", "--input", "name=ann", "--input", "n=3", "--seed", "5eed"]) == Exit.OK
    told = capsys.readouterr()
    assert json.loads(told.out) == {"n": 3, "text": "Hello Ann"}
    assert "started on plan" in told.err
    assert "with seed 5eed" in told.err
    assert re.search(r"p: done", told.err)
    assert re.search(r"exec_\w+ completed after", told.err)


def test_what_ran_can_be_listed_shown_and_replayed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["run", "flow.yaml", "--input", "name=ann", "--json"]) == Exit.OK
    ran = json.loads(capsys.readouterr().out)
    assert (ran["status"], ran["output"]) == ("completed", {"n": None, "text": "Hello Ann"})
    assert [row["id"] for row in listed(capsys)] == [ran["id"]]
    assert app.run(["show", ran["id"]]) == Exit.OK
    assert 'output: {"n":null,"text":"Hello Ann"}' in capsys.readouterr().out
    assert app.run(["show", ran["id"], "--json"]) == Exit.OK
    assert [fact["t"] for fact in json.loads(capsys.readouterr().out)["records"]] == [
        "started",
        "returned",
        "finished",
    ]
    assert app.run(["replay", ran["id"]]) == Exit.OK
    assert f"{ran['id']}: reproducible, 3 records" in capsys.readouterr().out
    assert app.run(["ps", "--status", "failed"]) == Exit.OK
    assert ran["id"] not in capsys.readouterr().out


def test_executions_are_listed_of_one_tenant(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["run", "flow.yaml", "--input", "name=ann", "--json"]) == Exit.OK
    ours = json.loads(capsys.readouterr().out)["id"]
    theirs = ExecutionId(f"exec_{1:032x}")

    async def begin() -> None:
        store = open_store(project / "store.db")
        row = Execution(theirs, Tenant("ann"), FlowId("f"), Digest("0" * 64), "running", 0, 0, 0)
        await store.create(row, [])
        await store.close()

    asyncio.run(begin())
    assert [row["id"] for row in listed(capsys)] == [ours]
    assert app.run(["ps", "--tenant", "ann", "--json"]) == Exit.OK
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [theirs]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["flow.yaml"], Exit.BAD_INPUT, "error: nothing is given for name"),
        (["flow.yaml", "--input", "nam=x"], Exit.BAD_INPUT, "hint: did you mean 'name'?"),
        (["flow.yaml", "--input", "name=x", "--input", "n=many"], Exit.BAD_INPUT, "at /n"),
        (["none.yaml"], Exit.BAD_INPUT, "error: no file none.yaml"),
        (["flow.yaml", "--input", "name=boom"], Exit.FAILED, "hint: strata show exec_"),
        (["flow.yaml", "--input", "name=x", "--agents", "no/folder"], Exit.BAD_INPUT, "no folder no/folder"),
        (["flow.yaml", "--input", "name=x", "--agents", "no_such_module"], Exit.BAD_INPUT, "no_such_module"),
        (["flow.yaml", "--input", "name=x", "--store", "/proc/none/x.db"], Exit.UNAVAILABLE, "error: "),
    ],
)
def test_what_goes_wrong_is_told_with_its_code(
    project: Path, arguments: list[str], code: Exit, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["run", *arguments]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert says in told.err
    assert "Traceback" not in told.err


def test_a_limit_has_a_code_of_its_own(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "flow.yaml").write_text(FLOW.replace("do:\n", "limits: {usd: 0.1}\ndo:\n"))
    assert app.run(["run", "flow.yaml", "--input", "name=ann"]) == Exit.LIMIT
    assert "error: limit.usd" in capsys.readouterr().err


def test_a_flow_with_mistakes_is_explained_and_nothing_is_recorded(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "flow.yaml").write_text(FLOW.replace("=p.text", "=p.txt"))
    assert app.run(["run", "flow.yaml", "--input", "name=ann"]) == Exit.BAD_INPUT
    told = capsys.readouterr().err
    assert "error E211" in told
    assert "hint: did you mean 'text'?" in told
    assert listed(capsys) == []


def test_an_agent_that_does_not_fit_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "agents.py").write_text(PYTHON.replace("usd=0.5", "usd=0.6"))
    assert app.run(["run", "flow.yaml", "--input", "name=ann"]) == Exit.BAD_INPUT
    assert "agent 'polish' does not fit: cost.usd" in capsys.readouterr().err


def test_a_question_ends_the_call_and_its_answer_goes_on(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["run", "ask.yaml"]) == Exit.OK
    told = capsys.readouterr()
    assert told.out == ""
    found = re.search(r"q asks boss for \[no, yes\]\n  hint: strata answer (exec_\w+) (\S+) VALUE", told.err)
    assert found is not None
    execution, step = found.groups()
    assert app.run(["answer", execution, step, "maybe"]) == Exit.BAD_INPUT
    assert "the answer does not fit" in capsys.readouterr().err
    assert app.run(["answer", execution, "qq", "yes"]) == Exit.BAD_INPUT
    assert "hint: steps that ask: q" in capsys.readouterr().err
    assert app.run(["answer", execution, "q", "yes", "--by", "ann"]) == Exit.OK
    told = capsys.readouterr()
    assert told.out == '"yes"\n'
    assert 'answered by ann: "yes"' in told.err
    assert app.run(["answer", execution, "q", "yes"]) == Exit.BAD_INPUT
    assert "has finished" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "replay", "resume"])
def test_an_execution_that_does_not_exist_is_not_found(
    project: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["run", "flow.yaml", "--input", "name=ann", "--json"]) == Exit.OK
    capsys.readouterr()
    assert app.run([command, "exec_0"]) == Exit.BAD_INPUT
    assert "error: no execution exec_0\n  hint: list them: strata ps" in capsys.readouterr().err


def test_resuming_wants_the_agents_of_the_execution(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["run", "flow.yaml", "--input", "name=ann", "--json"]) == Exit.OK
    execution = json.loads(capsys.readouterr().out)["id"]
    (project / "agents.py").write_text(PYTHON.replace("usd=0.5", "usd=0.4"))
    assert app.run(["resume", execution]) == Exit.BAD_INPUT
    assert "agent 'polish' has changed since the execution began" in capsys.readouterr().err
    (project / "agents.py").unlink()
    assert app.run(["resume", execution]) == Exit.BAD_INPUT
    assert "agent 'polish' is not at hand" in capsys.readouterr().err


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    """A process of its own, with its first call to an agent under way."""
    command = [sys.executable, "-m", "stratarouter_runtime", "run", "flow.yaml", *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    if "started" not in process.stderr.readline():
        process.kill()
        pytest.fail(process.communicate()[1])
    time.sleep(0.1)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_call_finish_and_resume_goes_on(
    project: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start(project, "--input", "name=slow")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert f"stopping on {number.name}" in err
    assert re.search(r"hint: strata resume exec_\w+$", err, re.MULTILINE)
    assert "Traceback" not in err
    assert out == ""
    (row,) = listed(capsys)
    if row["status"] == "running":
        assert app.run(["resume", row["id"]]) == Exit.OK
        assert json.loads(capsys.readouterr().out)["text"] == "Hello Slow"
    assert app.run(["replay", row["id"]]) == Exit.OK


def test_a_killed_process_loses_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = start(project, "--input", "name=slow")
    process.kill()
    process.communicate(timeout=20)
    (row,) = listed(capsys)
    assert row["status"] == "running"
    assert app.run(["resume", row["id"]]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["text"] == "Hello Slow"


def test_a_second_signal_exits_at_once(project: Path) -> None:
    (project / "agents.py").write_text(PYTHON.replace("sleep(0.5)", "sleep(8)"))
    process = start(project, "--input", "name=slow")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 4


def test_a_reader_that_leaves_is_no_error(project: Path) -> None:
    assert app.run(["run", "flow.yaml", "--input", "name=ann"]) == Exit.OK
    script = '("$0" -m stratarouter_runtime ps; echo "exit $?" >&2) | true'
    done = subprocess.run(  # noqa: S603 - our own interpreter
        ["sh", "-c", script, sys.executable],  # noqa: S607 - any sh
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "exit 0\n"


def test_a_full_store_is_unavailable(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise StoreFull("no room left on the disk", hint="make room")

    monkeypatch.setattr("stratarouter_runtime.runtime.Runtime.start", full)
    assert app.run(["run", "flow.yaml", "--input", "name=ann"]) == Exit.UNAVAILABLE
    assert capsys.readouterr().err.endswith("error: no room left on the disk\n  hint: make room\n")


WAITING: Final = """\
tcfp: "1.0"
flow: waiting
in: {s: string}
out: json
do:
  - {id: nap, sleep: 1ms}
  - id: p
    par:
      one: {id: q, ask: '[yes, no]', from: boss, time: 1h}
      two: {ask: int, time: 1h, show: {text: =s}}
      tre: {ask: bool, time: 1h}
return: =p
"""


def test_every_open_question_is_told_with_what_was_shown_and_how_to_answer(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "a b").mkdir()
    (project / "a b" / "f.yaml").write_text(WAITING)
    assert app.run(["run", "a b/f.yaml", "--input", "s=x", "--store", "s t.db"]) == Exit.OK
    told = capsys.readouterr().err
    assert "nap: slept\n" in told
    assert "q asks boss for [no, yes]\n" in told
    assert '  shown: {"text":"x"}\n' in told
    (execution,) = set(re.findall(r"exec_\w+", told))
    options = " VALUE --agents 'a b' --store 's t.db'\n"
    hints = [line.removeprefix("  hint: ") for line in told.splitlines(keepends=True) if "hint" in line]
    assert hints == [f"strata answer {execution} {step}{options}" for step in ("q", "1/par/tre", "1/par/two")]
    store = ["--store", "s t.db"]
    assert app.run(["answer", execution, "1/par/two", "7", *store]) == Exit.OK
    told = capsys.readouterr().err
    assert "1/par/two VALUE" not in told
    assert "1/par/tre VALUE" in told


def test_what_agents_print_is_no_part_of_the_result(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noisy = PYTHON.replace('if "slow"', 'print("noise");\n    if "slow"') + 'print("noise at import")\n'
    (project / "agents.py").write_text(noisy)
    for options in ([], ["--json"]):
        assert app.run(["run", "flow.yaml", "--input", "name=ann", *options]) == Exit.OK
        told = capsys.readouterr()
        json.loads(told.out)
        assert "noise at import\n" in told.err
        assert "noise\n" in told.err


def test_a_failure_is_one_line_that_cannot_command_the_terminal(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "agents.py").write_text(PYTHON.replace('"boom")', r'"\x1b[31mred\nand more")'))
    assert app.run(["run", "flow.yaml", "--input", "name=boom"]) == Exit.FAILED
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert "raised ValueError: \ufffd[31mred and more\n" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "flow.yaml", "--input", "name=a", "--seed", ""], "--seed takes text of 1 to 64 characters"),
        (["run", "flow.yaml", "--input", "name=a", "--seed", "x" * 65], "--seed takes text of 1 to 64"),
        (["run", "-", "--input", "-"], "standard input cannot be both"),
        (["ps", "--limit", "0"], "--limit"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    arguments: list[str], says: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(arguments) == Exit.BAD_INPUT
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("name", ["inner.yaml", "inner.yml", "inner.json"])
def test_a_flow_of_the_project_is_called_whatever_it_is_written_in(
    project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    inner: dict[str, object] = {
        "tcfp": "1.0",
        "flow": "inner",
        "in": {"n": "int"},
        "out": "int",
        "do": [],
        "return": "=n + 1",
    }
    outer = {**inner, "flow": "outer", "agents": ["inner"], "return": "=i"}
    outer["do"] = [{"id": "i", "call": "inner", "with": {"n": "=n"}}]
    (project / "flows").mkdir()
    (project / "flows" / name).write_text(json.dumps(inner))
    (project / "outer.json").write_text(json.dumps(outer))
    assert app.run(["run", "outer.json", "--input", "n=1"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == 2
