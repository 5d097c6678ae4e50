"""Kinds of agent that run behind walls: what they ask of their cell, and what becomes of its reply."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from typing_extensions import override

from stratarouter_runtime.agents.confined import MIB, ConfinedAgent
from stratarouter_runtime.agents.declared import read_declared
from stratarouter_runtime.agents.discovery import load_project
from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.agents.web import Web
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import AgentCall, AgentReply, Cell, Cells
from stratarouter_runtime.state.events import Failure, Usage
from stratarouter_runtime.system import SystemClock

EMPTY_MODULE = b"\0asm\1\0\0\0"


class Recorded(Cells):
    """Cells that answer what they were told to, and remember what they were asked."""

    def __init__(self, reply: AgentReply | None = None, refusing: str = "") -> None:
        self.reply = reply or AgentReply(1, usage=Usage(ms=2.0), isolation="sandbox")
        self.refusing = refusing
        self.admitted: list[Cell] = []

    @override
    def admit(self, name: str, cell: Cell) -> None:
        if self.refusing:
            raise LinkError(f"{name}: {self.refusing}")
        self.admitted.append(cell)

    @override
    async def prepare(self) -> None:
        pass

    @override
    async def call(self, cell: Cell, call: AgentCall) -> AgentReply:
        return self.reply

    @override
    async def close(self) -> None:
        pass


def workshop(cells: Cells | None, *commands: str) -> Workshop:
    return Workshop(SystemClock(), Secrets({}), Web(), cells=cells, commands=commands)


def declared(folder: Path, lines: str, cells: Cells | None, *commands: str) -> ConfinedAgent:
    """The one agent of a document, built."""
    path = folder / "agents.yaml"
    rows = "".join(f"    {line}\n" for line in lines.strip().splitlines())
    path.write_text(f"agents:\n  it:\n{rows}    in: {{n: int}}\n    out: int\n    effect: pure\n")
    [blueprint] = read_declared(path, Secrets({}))
    built = blueprint.build(workshop(cells, *commands))
    assert isinstance(built, ConfinedAgent)
    return built


def call() -> AgentCall:
    return AgentCall(ExecutionId("e"), Tenant("t"), Digest("k"), "seed", 1, {"n": 1})


SNIPPET = "kind: sandbox\nengine: python\ncode: |\n  def run(n): return n"


def test_text_is_its_own_version(tmp_path: Path) -> None:
    cells = Recorded()
    first = declared(tmp_path, SNIPPET, cells)
    again = declared(tmp_path, SNIPPET, cells)
    other = declared(tmp_path, SNIPPET + " + 1", cells)
    assert first.digest == again.digest != other.digest


def test_what_an_agent_needs_is_what_its_cell_reserves(tmp_path: Path) -> None:
    cells = Recorded()
    declared(tmp_path, SNIPPET + "\ntime: 2s\nneeds: {cpu: 0.5, memory_mb: 100}", cells)
    [cell] = cells.admitted
    assert (cell.level, cell.cpu, cell.memory, cell.seconds) == ("sandbox", 0.5, 100 * MIB, 2.0)
    assert not cell.spawning


def test_a_module_is_its_own_version_too(tmp_path: Path) -> None:
    cells = Recorded()
    text = base64.b64encode(EMPTY_MODULE).decode()
    (tmp_path / "m.wasm").write_bytes(EMPTY_MODULE)
    written = declared(tmp_path, f"kind: wasm\nmodule: {text}", cells)
    filed = declared(tmp_path, f"kind: wasm\nfile: {tmp_path / 'm.wasm'}", cells)
    fueled = declared(tmp_path, f"kind: wasm\nmodule: {text}\nfuel: 5", cells)
    assert written.digest == filed.digest != fueled.digest
    assert orjson.loads(cells.admitted[-1].setup)["fuel"] == 5


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("kind: sandbox", "code"),
        ("kind: sandbox\ncode: x\nengine: perl", "perl"),
        ("kind: wasm", "module"),
        ("kind: wasm\nmodule: '!'", "not base64"),
        ("kind: wasm\nmodule: aGVsbG8=", "not a WebAssembly module"),
        ("kind: wasm\nfile: /nowhere/m.wasm", "cannot be read"),
        ("kind: command", "command"),
        ("kind: command\ncommand: [sort]", "whole path"),
        ("kind: command\ncommand: []", "whole path"),
        ("kind: command\ncommand: [/bin/sort]\nprints: xml", "xml"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(tmp_path: Path, lines: str, says: str) -> None:
    with pytest.raises(LinkError, match=says) as told:
        declared(tmp_path, lines, Recorded())
    assert "agents.yaml:" in told.value.message


def test_only_listed_programs_are_started(tmp_path: Path) -> None:
    lines = "kind: command\ncommand: [/usr/bin/sort, -n]"
    with pytest.raises(LinkError, match=r"/usr/bin/sort, which is not listed \(listed: /bin/cat\)"):
        declared(tmp_path, lines, Recorded(), "/bin/cat")
    cells = Recorded()
    declared(tmp_path, lines, cells, "/usr/bin/sort")
    [cell] = cells.admitted
    assert cell.level == "command"
    assert cell.calls == 1
    assert cell.programs[0] == str(Path("/usr/bin/sort").resolve())


def test_an_agent_without_walls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="'it' needs walls"):
        declared(tmp_path, SNIPPET, None)
    with pytest.raises(LinkError, match="it: no landlock"):
        declared(tmp_path, SNIPPET, Recorded(refusing="no landlock"))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("sandbox.network", "sandbox.network"),
        ("limit.memory", "limit.memory"),
        ("agent.refused", "agent.refused"),
        ("timeout", "timeout"),
        ("broke", "broke"),
        ("other", "agent.refused"),
        ("cancelled", "agent.refused"),
        ("policy", "agent.refused"),
    ],
)
async def test_only_declared_and_built_in_kinds_pass(tmp_path: Path, kind: str, told: str) -> None:
    cells = Recorded(AgentReply(failure=Failure(kind, "why"), isolation="sandbox"))
    reply = await declared(tmp_path, SNIPPET + "\nerrors: [broke]", cells).call(call())
    assert reply.failure is not None
    assert reply.failure.kind == told
    assert reply.failure.message.endswith("why")
    assert reply.isolation == "sandbox"


async def test_what_reports_nothing_costs_what_it_declares(tmp_path: Path) -> None:
    lines = SNIPPET + "\ncost: {usd: 0.5, tokens: 7}"
    silent = await declared(tmp_path, lines, Recorded()).call(call())
    assert silent.usage == Usage(0.5, 7, 0, 2.0)
    for usage in Usage(0.1, 1, 2, 3.0), Usage(ms=3.0):
        said = Recorded(AgentReply(1, usage=usage, reported=True))
        assert (await declared(tmp_path, lines, said).call(call())).usage == usage


FUNCTIONS = """\
from stratarouter_runtime.builder import agent

@agent(effect="pure", isolation="process")
def apart(n: int) -> int:
    return n

@agent(effect="pure")
def inline(n: int) -> int:
    return n
"""


def test_where_a_function_runs_is_no_part_of_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(FUNCTIONS)
    cells = Recorded()
    found = load_project(tmp_path, workshop(cells))
    [cell] = cells.admitted
    assert cell.level == "process"
    setup: dict[str, Any] = orjson.loads(cell.setup)
    assert setup["file"] == str(tmp_path / "agents.py")
    assert setup["name"] == "apart"
    assert str(Path(sys.path[-1]).resolve()) in setup["path"]
    (tmp_path / "agents.py").write_text(FUNCTIONS.replace(', isolation="process"', ""))
    plain = load_project(tmp_path, workshop(None))
    assert plain["apart"].digest == found["apart"].digest
