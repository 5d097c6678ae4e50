"""The kind `wasm`: a WebAssembly module, behind walls, with a budget of instructions.

The module is written in the document as base64, or lies in a file whose content is its version.
What it exports is told in docs/agents.md. Must never know: how a module is run.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from importlib.util import find_spec
from pathlib import Path
from typing import Final

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
from stratarouter_runtime.tcfp.loading.fields import POSITIVE, Fields

FIELDS: Final = ("module", "file", "fuel")

FUEL: Final = 1_000_000_000
"""Instructions, near enough, that one call may take where the document says nothing."""
_MAGIC: Final = b"\0asm"
_ENGINE: Final = 192 * MIB
"""Address space of the engine and what it compiles, beside the module's own memory."""


class Module(Struct, frozen=True):
    """An agent of this kind as declared."""

    name: AgentName
    signature: Signature
    version: str
    code: bytes
    fuel: int = FUEL

    def build(self, workshop: Workshop) -> ConfinedAgent:
        """The agent; its module is compiled with the first call. Raises `LinkError`."""
        if find_spec("wasmtime") is None:
            raise LinkError(
                f"the agent '{self.name}' runs on wasmtime, which is not installed",
                hint="pip install 'stratarouter-runtime[wasm]'",
            )
        said = f"{self.version}\0{digest_bytes(self.code)}\0{self.fuel}"
        digest = agent_digest(self.name, "wasm", said, self.signature)
        memory = self.signature.needs.memory_mb * MIB
        setup = {"module": b64encode(self.code).decode(), "fuel": self.fuel, "memory": memory}
        seconds = seconds_of(self.signature)
        cell = Cell(
            "wasm",
            "stratarouter_runtime.agents.inside.wasm",
            digest,
            orjson.dumps(setup),
            cpu=self.signature.needs.cpu,
            memory=memory + _ENGINE,
            disk=MIB,
            seconds=seconds + 0.5,  # its epoch ends it first, and leaves the worker whole
            cpu_seconds=seconds + 1,
        )
        return ConfinedAgent(self.name, self.signature, digest, cell, workshop.cells, cap=workshop.max_output)


def read(declaration: Declaration) -> Module | None:
    """Reads `module` or `file`, and `fuel`."""
    fields = declaration.fields
    fuel = fields.integer("fuel", POSITIVE)
    code = _code(fields, declaration.folder)
    if code is None:
        return None
    return Module(declaration.name, declaration.signature, declaration.version, code, fuel or FUEL)


def _code(fields: Fields, folder: Path | None) -> bytes | None:
    """The bytes of the module; None after a diagnostic."""
    key = "file" if fields.node("file") is not None else "module"
    node = fields.need(key, "write module: with the bytes as base64, or file: with a path")
    said = fields.text(key)
    if node is None or said is None:
        return None
    if key == "file" and folder is None:
        fields.diagnostics.add("E134", node.at, "no file can be named here", "write the module as base64")
        return None
    try:
        code = Path(folder or "", said).read_bytes() if key == "file" else b64decode(said, validate=True)
    except NotBase64:
        fields.diagnostics.add("E134", node.at, "not base64")
        return None
    except OSError as error:
        fields.diagnostics.add("E134", node.at, f"{said} cannot be read: {error.strerror}")
        return None
    if not code.startswith(_MAGIC):
        fields.diagnostics.add("E134", node.at, "not a WebAssembly module", "compile it to the binary form")
        return None
    return code
