"""One flow through every kind of wall, from the command line: run, shown, and replayed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.commandline import strata

from stratarouter_runtime.sandbox import features

pytestmark = pytest.mark.skipif(
    any(features.found()[each] for each in features.needed("sandbox")),
    reason="the kernel lacks what walls need",
)

ECHO = (
    "AGFzbQEAAAABDAJgAX8Bf2ACf38BfgMDAgABBQQBAQJABgcBfwFBgAgLBxgDBm1lbW9yeQIABWFsbG9jAAADcnVuAAEKIAIRAQF/"
    "IwAhASMAIABqJAAgAQsMACAArUIghiABrYQLABMEbmFtZQIGAQABAQFwBwQBAAFu"
)
"""A module whose output is its input."""

FUNCTIONS = """\
import os
from stratarouter_runtime.builder import agent

@agent(effect="pure", isolation="process")
def apart(n: int) -> int:
    if n == 13:
        os._exit(3)
    return n + 1
"""

AGENTS = f"""\
agents:
  text: {{kind: sandbox, code: "def run(n): return n * 2", in: {{n: int}}, out: int, effect: pure}}
  whole: {{kind: sandbox, engine: python, code: "import socket\\ndef run(n): socket.socket()", in: {{n: int}}, out: int, effect: pure}}
  module: {{kind: wasm, module: {ECHO}, in: {{n: int}}, out: {{n: int}}, effect: pure}}
"""

FLOW = """\
tcfp: "1.0"
flow: walled
in: {n: int}
out: json
agents: [apart, text, whole, module]
do:
  - {id: a, call: apart, with: {n: =n}}
  - {id: b, call: text, with: {n: =a}}
  - {id: c, call: module, with: {n: =b}}
  - id: d
    call: whole
    with: {n: =c.n}
    catch: [{on: [sandbox], as: error, do: {let: =error.kind}}]
return: {n: =c.n, caught: =d}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    # Workers are another user where this is root, and have to read the project.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "agents.py").write_text(FUNCTIONS)
    (tmp_path / "agents.yaml").write_text(AGENTS)
    (tmp_path / "walled.yaml").write_text(FLOW)
    return tmp_path


def test_a_flow_goes_through_every_kind_of_wall_and_replays(project: Path) -> None:
    done = strata("run", "walled.yaml", "--input", "n=4", "--json", cwd=project)
    assert done.code == 0, done.err
    told: dict[str, Any] = done.json
    assert told["output"] == {"n": 10, "caught": "sandbox.network"}
    execution = told["id"]
    shown = strata("show", execution, cwd=project).out
    for level in ("process", "sandbox", "wasm"):
        assert f"isolated: {level}" in shown
    assert "failed: sandbox.network" in shown
    assert strata("replay", execution, cwd=project).code == 0


def test_a_worker_that_dies_is_a_failure_of_its_step(project: Path) -> None:
    done = strata("run", "walled.yaml", "--input", "n=13", cwd=project)
    assert done.code == 1
    assert "agent.unavailable: its worker ended with code 3 before it answered" in done.err


def test_a_program_that_is_not_listed_is_refused_where_it_is_declared(project: Path) -> None:
    declared = (
        "agents: {it: {kind: command, command: [/usr/bin/sort], in: {n: int}, out: string, effect: pure}}\n"
    )
    (project / "agents.yaml").write_text(declared)
    done = strata("run", "walled.yaml", "--input", "n=1", cwd=project)
    assert done.code != 0
    assert "/usr/bin/sort, which is not listed" in done.err
