"""Four kinds of agent in one flow: a model, a module, a snippet, and a service; it runs, and replays."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.commandline import EXAMPLES, environment, strata

MIXED = EXAMPLES / "mixed"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "mixed"
    shutil.copytree(MIXED, folder)
    ports = [str(free_port()), str(free_port())]
    agents = folder / "agents.yaml"
    agents.write_text(agents.read_text().replace("8801", ports[0]).replace("8802", ports[1]))
    command = [sys.executable, str(folder / "services.py"), *ports]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as services:  # noqa: S603 - ours
        assert services.stdout is not None
        assert services.stdout.readline().startswith("a model at ")
        yield folder
        services.terminate()


def test_the_example_runs_and_replays(project: Path) -> None:
    given, store = f"@{project / 'input.json'}", project / "s.db"
    ended = strata("run", "mixed.yaml", "--input", given, "--store", store, "--json", cwd=project)
    assert ended.code == 0, ended.err
    row = ended.json
    assert row["output"] == {"rank": 2, "team": "billing", "ticket": "T-1"}
    assert (row["usage"]["tokens_in"], row["usage"]["tokens_out"]) == (120, 14)
    replayed = strata("replay", row["id"], "--store", store, cwd=project)
    assert replayed.code == 0, replayed.err


def test_one_agent_of_it_is_called_alone(project: Path) -> None:
    inputs = ("--input", "subject=a", "--input", "body=b")
    ended = strata("agents", "test", "triage", *inputs, "--json", cwd=project)
    assert ended.json["output"] == {"team": "billing", "urgent": True}
