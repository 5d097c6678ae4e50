"""The kind `sandbox`: Python text of a flow's author, behind walls.

Its function `run` takes the fields of `in`. On `engine: monty`, the default, the text has no files,
no modules beside a few, a clock that stands still and randomness that follows from the call's seed;
on `engine: python` it has a whole CPython, with an empty folder in memory to work in. Must never
know: how text is run, or what the walls are.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Final, Literal

import orjson
from msgspec import Struct

from stratarouter_runtime.agents.confined import MIB, ConfinedAgent, seconds_of
from stratarouter_runtime.agents.kinds import Declaration
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.canonical import digest_bytes
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.ports import Cell
from stratarouter_runtime.tcfp.digests import agent_digest
from stratarouter_runtime.tcfp.ir import Signature

FIELDS: Final = ("code", "engine")

_ENGINES: Final = ("monty", "python")
_HERE: Final = "stratarouter_runtime.agents.inside"
_CLIENT: Final = 320 * MIB
"""Address space of monty's client and its threads, beside what the text itself may use."""


class Snippet(Struct, frozen=True):
    """An agent of this kind as declared."""

    name: AgentName
    signature: Signature
    version: str
    code: str
    engine: Literal["monty", "python"] = "monty"

    def build(self, workshop: Workshop) -> ConfinedAgent:
        """The agent; its first worker starts with the first call. Raises `LinkError`."""
        # What the text says is its version: nobody has to remember to count one.
        said = f"{self.version}\0{self.engine}\0{digest_bytes(self.code.encode())}"
        digest = agent_digest(self.name, "sandbox", said, self.signature)
        make = _monty if self.engine == "monty" else _python
        cell = make(self, Cell("sandbox", "", digest, b"", cpu=self.signature.needs.cpu))
        return ConfinedAgent(self.name, self.signature, digest, cell, workshop.cells, cap=workshop.max_output)


def read(declaration: Declaration) -> Snippet | None:
    """Reads `code` and `engine`."""
    fields = declaration.fields
    fields.need("code", "write code: | and below it def run(…): …")
    code, engine = fields.text("code"), fields.word("engine", _ENGINES)
    if code is None:
        return None
    return Snippet(
        declaration.name,
        declaration.signature,
        declaration.version,
        code,
        "python" if engine == "python" else "monty",
    )


def _python(snippet: Snippet, cell: Cell) -> Cell:
    seconds = seconds_of(snippet.signature)
    return Cell(
        cell.level,
        f"{_HERE}.text",
        cell.digest,
        orjson.dumps({"code": snippet.code}),
        cpu=cell.cpu,
        memory=snippet.signature.needs.memory_mb * MIB,
        seconds=seconds,
        cpu_seconds=seconds,
    )


def _monty(snippet: Snippet, cell: Cell) -> Cell:
    seconds, memory = seconds_of(snippet.signature), snippet.signature.needs.memory_mb * MIB
    binary = find_monty(snippet.name)
    setup = {"code": snippet.code, "binary": binary, "cpu_seconds": seconds, "memory": memory}
    return Cell(
        cell.level,
        f"{_HERE}.monty",
        cell.digest,
        orjson.dumps(setup),
        cpu=cell.cpu,
        memory=memory + _CLIENT,
        seconds=seconds + 0.5,  # its own limit ends it first, and leaves the worker whole
        cpu_seconds=seconds + 1,
        programs=(binary,),
        spawning=True,
    )


def find_monty(name: str) -> str:
    """Where the interpreter lies. Raises `LinkError` where it is not installed."""
    binary = Path(sysconfig.get_path("scripts"), "monty")
    if not binary.exists():
        raise LinkError(
            f"the agent '{name}' runs on monty, which is not installed",
            hint="pip install 'stratarouter-runtime[sandbox]', or write engine: python",
        )
    return str(binary.resolve())
