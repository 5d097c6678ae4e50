"""`strata logs`: facts one a line, also while another process brings them about."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stratarouter_runtime.cli.app import run

EXAMPLE = Path(__file__).parents[3] / "examples" / "saga"
STRATA = (sys.executable, "-m", "stratarouter_runtime")


def executed(store: Path) -> str:
    arguments = ["run", str(EXAMPLE / "flow.yaml"), "--input", f"@{EXAMPLE / 'input.json'}", "--json"]
    command = [*STRATA, *arguments, "--store", str(store)]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - our own program
    return str(json.loads(done.stdout)["id"])


@pytest.mark.parametrize("follow", [[], ["-f"]])
def test_every_fact_of_an_execution_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], follow: list[str]
) -> None:
    execution = executed(tmp_path / "s.db")
    assert run(["logs", execution, "--store", str(tmp_path / "s.db"), *follow]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "started on plan" in lines[0]
    assert "completed" in lines[-1]
    assert run(["logs", execution, "--store", str(tmp_path / "s.db"), "--json", *follow]) == 0
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [fact["seq"] for fact in facts] == list(range(len(lines)))
    assert facts[-1]["t"] == "finished"


def test_an_unknown_execution_is_said_to_be_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    executed(tmp_path / "s.db")
    assert run(["logs", "exec_0", "--store", str(tmp_path / "s.db")]) == 2
    assert "no execution exec_0" in capsys.readouterr().err
