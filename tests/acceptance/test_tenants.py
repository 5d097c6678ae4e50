"""Keys, tiers, usage and the audit as operators have them: commands, and a server that runs beside."""

from __future__ import annotations

import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Final

import httpx2
import pytest
from tests.acceptance.commandline import WAIT, start, strata

AGENTS: Final = """
from stratarouter_runtime.builder import agent


@agent(effect="pure")
async def say(text: str) -> str:
    return text.upper()
"""
FLOW: Final = """tcfp: "1.0"
flow: echo
agents: [say]
in: {query: string}
out: {answer: string}
do:
  - {id: a, call: say, with: {text: =query}}
return: {answer: =a}
"""
BODY: Final = {"workflow_id": "echo", "input": {"query": "hi"}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents.py").write_text(AGENTS)
    (tmp_path / "flow.yaml").write_text(FLOW)
    return tmp_path


@pytest.fixture
def serving(project: Path) -> Iterator[tuple[str, str, str]]:
    """A server that anybody could reach, with a key of its one tenant: address, name of the key, the key."""
    made = strata("keys", "create", "acme", "--scope", "read", "--scope", "execute", "--json", cwd=project)
    process = start("serve", "--host", "0.0.0.0", "--port", "0", "--tenant", "acme", cwd=project)  # noqa: S104 - the promise
    try:
        port = re.search(r"http://0\.0\.0\.0:(\d+)", line_of(process))
        assert port is not None
        yield f"http://127.0.0.1:{port[1]}", made.json["id"], made.json["key"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT)


def line_of(process: Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def status(base: str, key: str | None) -> int:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx2.post(f"{base}/api/v1/workflows/execute", json=BODY, headers=headers).status_code


@pytest.mark.parametrize("arguments", [["--dev"], []])
def test_without_keys_a_server_listens_on_its_own_machine_only(project: Path, arguments: list[str]) -> None:
    done = strata("serve", "--host", "0.0.0.0", "--port", "0", *arguments, cwd=project)  # noqa: S104 - refused
    assert done.code == 2
    assert "does not bind to 0.0.0.0" in done.err
    assert "strata keys create" in done.err


def test_keys_are_made_and_revoked_while_a_server_owns_the_store(
    project: Path, serving: tuple[str, str, str]
) -> None:
    base, name, key = serving
    assert (status(base, key), status(base, None)) == (200, 401)
    second = strata("keys", "create", "acme", "--scope", "execute", cwd=project).out.strip()
    assert status(base, second) == 200
    rotated = strata("keys", "rotate", second.split("_")[1], "--grace", "0s", "--json", cwd=project).json[
        "key"
    ]
    assert strata("keys", "revoke", name, cwd=project).code == 0
    revoked = time.monotonic()
    while status(base, key) == 200:
        assert time.monotonic() - revoked < WAIT
    listed = {each["id"]: each for each in strata("keys", "list", "--json", cwd=project).json}
    assert (listed[name]["valid"], len(listed)) == (False, 3)
    assert (status(base, key), status(base, second), status(base, rotated)) == (401, 401, 200)
    assert strata("audit", "verify", cwd=project).code == 0


def test_limits_are_assigned_and_told_while_a_server_runs(
    project: Path, serving: tuple[str, str, str]
) -> None:
    base, _, key = serving
    assert status(base, key) == 200
    found = strata("usage", "--tenant", "acme", "--json", cwd=project).json
    used = {each["name"]: (each["used"], each["limit"]) for each in found["limits"]}
    assert used["daily-executions"] == (1, 1000)
    assert (found["tier"], found["ever"]["completed"]) == ("free", 1)
    assert strata("tier", "acme", "unlimited", "--json", cwd=project).json["name"] == "unlimited"
    wanted = strata("tier", "acme", "gold", cwd=project)
    assert (wanted.code, "tiers are: free, unlimited" in wanted.err) == (2, True)


def test_a_policy_that_is_set_beside_a_server_holds_for_its_next_calls(
    project: Path, serving: tuple[str, str, str]
) -> None:
    base, _, key = serving

    def kind_of(number: int) -> str:
        body = BODY | {"input": {"query": f"hi {number}"}}
        headers = {"authorization": f"Bearer {key}"}
        ended = httpx2.post(f"{base}/api/v1/workflows/execute", json=body, headers=headers).json()
        return str(ended["error"]["kind"] if "error" in ended else ended["status"])

    assert kind_of(0) == "completed"
    shown = strata("policy", "acme", "--kinds", "http,llm", "--isolation", "process", "--json", cwd=project)
    assert shown.json == {"kinds": ["http", "llm"], "isolation": "process"}
    changed, number = time.monotonic(), 1
    while kind_of(number) != "policy":
        number += 1
        assert time.monotonic() - changed < WAIT
    assert strata("policy", "acme", "--clear", cwd=project).code == 0
    while kind_of(number) != "completed":
        number += 1
        assert time.monotonic() - changed < WAIT
    told = [line["what"] for line in strata("audit", "list", "--json", cwd=project).json]
    assert told[-2:] == ["put policy of tenant", "remove policy of tenant"]
    for slip in (("--isolation", "wall"), ("--kinds", "htp")):
        assert strata("policy", "acme", *slip, cwd=project).code == 2


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE audit SET by = 'nobody' WHERE number = 2", "line 2 does not follow"),
        ("DELETE FROM audit WHERE number = 2", "line 2 is missing"),
        ("DELETE FROM audit WHERE number = 3", "lines 3 to 3 are missing at the end"),
        ("UPDATE audit SET number = 9 WHERE number = 2", "line 2 is missing"),
    ],
)
def test_a_changed_audit_is_found(project: Path, tampering: str, told: str) -> None:
    for tenant in ("ann", "bob", "cem"):
        strata("keys", "create", tenant, cwd=project)
    intact = strata("audit", "verify", "--json", cwd=project).json
    assert (intact["lines"], intact["fault"]) == (3, "")
    assert strata("audit", "verify", "--head", intact["link"], cwd=project).code == 0
    assert strata("audit", "verify", "--head", "00" * 32, cwd=project).code == 0
    assert strata("audit", "verify", "--head", "11" * 32, cwd=project).code == 1
    with sqlite3.connect(project / ".strata" / "strata.db") as store:
        store.execute(tampering)
    store.close()
    done = strata("audit", "verify", cwd=project)
    assert done.code == 1
    assert told in done.out


def test_the_audit_says_who_changed_what(project: Path) -> None:
    strata("keys", "create", "ann", cwd=project)
    strata("tier", "ann", "unlimited", cwd=project)
    lines = strata("audit", "list", "--json", cwd=project).json
    assert [(line["by"], line["what"]) for line in lines] == [
        ("command line", "put key"),
        ("command line", "put tier of tenant"),
    ]
    assert strata("audit", "list", "--after", "1", "--json", cwd=project).json == lines[1:]


def test_settings_are_shown_with_where_they_came_from_and_no_secret(project: Path) -> None:
    (project / "config").mkdir()
    (project / "config" / "local.toml").write_text(
        '[database]\nurl = "postgresql://me:hunter2@db/x"\n[limits.tiers.pro]\ndaily = 5\n'
    )
    done = strata("config", "--json", cwd=project)
    shown = {each["key"]: (each["value"], each["origin"]) for each in done.json}
    assert shown["database.url"] == ("(hidden)", "config/local.toml")
    assert shown["server.port"] == ("8080", "default")
    assert shown["limits.tiers.pro.daily"] == ("5", "config/local.toml")
    assert "hunter2" not in done.out
