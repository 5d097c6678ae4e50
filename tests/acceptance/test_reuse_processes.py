"""Reuse and batches as their users have them: commands, servers, kills, and a thousand at once."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from tests.acceptance.commandline import WAIT, start, strata
from tests.postgres import server

from stratarouter_runtime.cli.values import LARGEST

AGENTS: Final = '''
"""Agents that leave a trace."""

import asyncio
from pathlib import Path

from stratarouter_runtime.builder import agent

FOLDER = Path(__file__).parent


@agent(effect="pure", cache="never")
async def say(text: str) -> str:
    with (FOLDER / "said").open("a") as file:
        file.write(text + "\\n")
    await asyncio.sleep(0.2)
    return text.upper()


@agent(effect="pure", cache="never")
async def hold(text: str) -> str:
    with (FOLDER / "held").open("a") as file:
        file.write(text + "\\n")
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.01)
    return text + "!"
'''

FLOW: Final = """tcfp: "1.0"
flow: AGENTs
cache: shared
agents: [AGENT]
in: {text: string}
out: {said: string}
do: [{id: a, call: AGENT, with: {text: =text}}]
return: {said: =a}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents.py").write_text(AGENTS)
    for name in ("say", "hold"):
        (tmp_path / f"{name}.yaml").write_text(FLOW.replace("AGENT", name))
    return tmp_path


@contextmanager
def serving(project: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server over the project; ended kindly where it has not been killed."""
    process = start("serve", "--dev", "--port", "0", *arguments, cwd=project)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        yield found[0], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT)


def until(what: Callable[[], Any]) -> Any:
    """What it gives once that is true."""
    begun = time.monotonic()
    while not (found := what()):
        assert time.monotonic() - begun < WAIT
        time.sleep(0.05)
    return found


def deploy(base: str, project: Path, name: str) -> None:
    source = (project / f"{name}.yaml").read_text()
    answer = httpx2.put(
        f"{base}/api/v1/workflows/{name}s", content=source, headers={"content-type": "application/yaml"}
    )
    assert answer.status_code in (200, 201), answer.text


def outcome(base: str, text: str) -> str:
    body = {"workflow_id": "says", "input": {"text": text}}
    answer = httpx2.post(f"{base}/api/v1/workflows/execute", json=body).json()
    return str(answer["cache"]["outcome"])


def test_answers_are_told_forgotten_and_put_on_terms_beside_a_server(project: Path) -> None:
    with serving(project) as (base, _):
        deploy(base, project, "say")
        assert [outcome(base, "hi"), outcome(base, "hi")] == ["miss", "hit"]
        until(lambda: strata("cache", "stats", "--json", cwd=project).json)
        assert "flow:says" in strata("cache", "stats", cwd=project).out
        dry = strata("cache", "invalidate", "says", "--dry-run", cwd=project)
        assert (dry.code, dry.out) == (0, "1 answers of says would be forgotten\n")
        assert (
            strata("cache", "invalidate", "says", "--older", "1d", "--json", cwd=project).json["entries"] == 0
        )
        assert strata("cache", "invalidate", "says", cwd=project).out == "1 answers of says forgotten\n"
        until(lambda: outcome(base, "hi") == "miss")
        written = strata("cache", "policy", "says", '{"enabled": false}', "--json", cwd=project)
        assert written.json == {"enabled": False}
        until(lambda: outcome(base, "hi") == "bypass")
        assert (
            "reused on the terms of the settings"
            in strata("cache", "policy", "says", "--remove", cwd=project).out
        )
        assert strata("audit", "verify", cwd=project).code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("invalidate", "says", "--older", "soon"), "is no duration"),
        (("policy", "says", '{"threshold": 7}'), "the terms do not fit"),
        (("policy", "says", "{"), "the terms:1:2: not JSON"),
    ],
)
def test_what_makes_no_sense_is_refused(project: Path, arguments: tuple[str, ...], told: str) -> None:
    done = strata("cache", *arguments, cwd=project)
    assert (done.code, told in done.err) == (2, True)


def test_a_pair_is_explained_gate_by_gate(project: Path) -> None:
    done = strata("cache", "explain", "wake me at 6 am", "wake me at 7 am", "--json", cwd=project)
    refusing = {each["gate"] for each in done.json["opinions"] if each["why"]}
    assert (done.json["reused"], "numbers" in refusing) == (False, True)


def test_a_file_of_inputs_is_run_as_a_batch(project: Path) -> None:
    """In order, a line each; equal ones once; what is none is refused by itself."""
    texts = ["b", "a", "b"]
    lines = [json.dumps({"text": text}) for text in texts]
    (project / "in.jsonl").write_text(
        "\n".join([*lines, "{", '{"text": 7}', '{"text": "a", "text": "b"}', ""])
    )
    done = strata("run", "say.yaml", "--batch", "in.jsonl", cwd=project)
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [each["status"] for each in told] == ["completed"] * 3 + ["refused"] * 3
    assert [each["output"]["said"] for each in told[:3]] == ["B", "A", "B"]
    assert [each["shared"] for each in told[:3]] == [False, False, True]
    assert [each["error"]["code"] for each in told[3:]] == ["invalid-input"] * 3
    assert "line 6" in told[5]["error"]["message"]
    assert "stands twice" in told[5]["error"]["message"]
    assert (done.code, done.err.strip().splitlines()[-1]) == (1, "3 completed, 3 refused")
    assert sorted((project / "said").read_text().split()) == ["a", "b"]


@pytest.mark.parametrize(("lines", "told"), [(0, "has 0 inputs"), (1_001, "has 1001 inputs")])
def test_a_file_that_is_no_batch_is_refused(project: Path, lines: int, told: str) -> None:
    (project / "in.jsonl").write_text('{"text": "a"}\n' * lines)
    done = strata("run", "say.yaml", "--batch", "in.jsonl", cwd=project)
    assert (done.code, told in done.err) == (2, True)


def test_a_batch_is_read_as_far_as_any_input(project: Path) -> None:
    with (project / "in.jsonl").open("wb") as file:
        file.truncate(LARGEST + 1)
    done = strata("run", "say.yaml", "--batch", "in.jsonl", cwd=project)
    assert (done.code, f"more than {LARGEST} bytes" in done.err) == (2, True)


def test_a_thousand_equal_requests_at_once_make_one_execution(project: Path) -> None:
    """Over sockets."""

    async def ask(base: str) -> list[dict[str, Any]]:
        body = {"workflow_id": "says", "input": {"text": "same"}}
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(limits=limits, timeout=WAIT) as client:
            wanted = (client.post(f"{base}/api/v1/workflows/execute", json=body) for _ in range(1_000))
            return [answer.json() for answer in await asyncio.gather(*wanted)]

    with serving(project) as (base, _):
        deploy(base, project, "say")
        answers = asyncio.run(ask(base))
    assert {each["output"]["said"] for each in answers} == {"SAME"}
    assert len({each["execution_id"] for each in answers}) == 1
    assert (project / "said").read_text() == "same\n"


def _killed_and_taken_up(project: Path, *arguments: str) -> None:
    """A batch of 40 items, half of them equal to others; killed while all wait, and again served."""
    items = [{"workflow_id": "holds", "input": {"text": f"t{number % 20}"}} for number in range(40)]
    with serving(project, *arguments) as (base, process):
        deploy(base, project, "hold")
        taken = httpx2.post(f"{base}/api/v1/batch/submit", json={"items": items}).json()
        until((project / "held").exists)
        process.kill()
        process.wait(WAIT)
    (project / "go").touch()
    with serving(project, *arguments) as (base, _):

        def ended() -> Any:
            told = httpx2.get(f"{base}/api/v1/batch/{taken['id']}").json()
            return told if told["ended"] else None

        told = until(ended)
        assert told["counts"] == {"completed": 40}
        assert [each["output"]["said"] for each in told["items"]] == [f"t{n % 20}!" for n in range(40)]
        assert len({each["execution_id"] for each in told["items"]}) == 20
        for each in told["items"][:20]:
            proof = httpx2.post(f"{base}/api/v1/executions/{each['execution_id']}/replay").json()
            assert proof["reproducible"], proof


def test_a_batch_outlives_a_kill(project: Path) -> None:
    _killed_and_taken_up(project)


def test_a_batch_outlives_a_kill_on_postgresql(project: Path) -> None:
    _killed_and_taken_up(project, "--store", asyncio.run(server().database()))
