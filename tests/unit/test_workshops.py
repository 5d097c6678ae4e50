"""What agents are built with: opened when it is needed, and shared by all of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stratarouter_runtime.agents.secrets import SecretMissing
from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.ports import Cell
from stratarouter_runtime.sandbox import features
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.workshops import guests, open_cells, open_project, workshop

PLAIN = """\
from stratarouter_runtime.builder import agent

@agent(effect="pure")
def inline(n: int) -> int:
    return n
"""
STARTED = """\
import asyncio, json, sys
from pathlib import Path
from stratarouter_runtime.cli import serve
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.wiring import application
from stratarouter_runtime.workshops import open_project

async def main():
    async with application(Settings(), open_project(Path(sys.argv[1])), store=":memory:"):
        print(json.dumps(sorted(sys.modules)))

asyncio.run(main())
"""
UNUSED = {
    "genai_prices",
    "httpx2",
    "mcp",
    "numpy",
    "onnxruntime",
    "opentelemetry",
    "pydantic_monty",
    "wasmtime",
}
SANDBOX = "stratarouter_runtime.sandbox"


def test_a_server_without_walls_and_services_loads_neither(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(PLAIN)
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", STARTED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert loaded & UNUSED == set()
    assert {name for name in loaded if name.startswith(f"{SANDBOX}.")} == {
        f"{SANDBOX}.governor",
        f"{SANDBOX}.governor.affinity",
        f"{SANDBOX}.lazy",
    }
    assert not any(name.startswith("stratarouter_runtime.agents.inside") for name in loaded)


def test_guests_share_all_but_programs_and_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "hush-hush-hush")
    settings = Settings(agent_secrets="secret://env/THEIRS", sandbox_commands="/usr/bin/sort")
    own = workshop(settings)
    theirs = guests(settings, own)
    assert (theirs.cells, theirs.web, theirs.partials) == (own.cells, own.web, own.partials)
    assert (own.commands, theirs.commands) == (("/usr/bin/sort",), ())
    with pytest.raises(SecretMissing):
        theirs.secrets.read("secret://env/OURS")
    own.secrets.read("secret://env/OURS")
    assert theirs.secrets.scrub("it is hush-hush-hush") == "it is [secret]"


def test_agents_are_built_as_those_settings_say_that_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRATA_AGENT_MAX_OUTPUT", "100")
    given = Settings(agent_max_output=200, sandbox_commands="/usr/bin/sort")
    own = open_project(tmp_path, given).workshop
    assert own is not None
    assert (own.max_output, own.commands) == (200, ("/usr/bin/sort",))
    monkeypatch.setattr(features, "found", lambda: dict.fromkeys(features.needed("sandbox"), "not here"))
    with pytest.raises(InvalidSetting, match="no-such-wall"):
        open_cells(Settings(sandbox_without="no-such-wall"))


def test_hosts_that_are_none_are_told() -> None:
    with pytest.raises(InvalidSetting, match=r"agents\.hosts"):
        workshop(Settings(agent_hosts="not a host"))


async def test_whoever_needs_walls_keeps_to_four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[list[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, processors: kept.append(processors))
    monkeypatch.setattr(features, "found", lambda: dict.fromkeys(features.needed("sandbox"), ""))
    own = workshop(Settings())
    assert own.cells is not None
    assert kept == []
    own.cells.admit("mine", Cell("sandbox", "none", Digest("none"), b""))
    assert kept == [[0, 1, 2, 3]]
    await own.close()
