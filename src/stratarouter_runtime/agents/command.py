"""The kind `command`: a program that the operator lists, with a list of arguments, behind walls.

There is no shell: an argument is passed on as it is, and `{field}` is replaced where it is a whole
argument. The input is on standard input as JSON; the output is what the program prints, as JSON or
as text. Must never know: how a program is started.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import orjson
from msgspec import Struct

from stratarouter_runtime.agents.confined import MIB, ConfinedAgent, seconds_of
from stratarouter_runtime.agents.kinds import Declaration
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.ports import Cell
from stratarouter_runtime.tcfp.digests import agent_digest
from stratarouter_runtime.tcfp.ir import Signature

FIELDS: Final = ("command", "prints")

_PRINTS: Final = ("json", "text")


class Command(Struct, frozen=True):
    """An agent of this kind as declared."""

    name: AgentName
    signature: Signature
    version: str
    arguments: tuple[str, ...]
    prints: Literal["json", "text"] = "json"

    def build(self, workshop: Workshop) -> ConfinedAgent:
        """The agent. Raises `LinkError` where the operator does not list its program."""
        program = self.arguments[0]
        if program not in workshop.commands:
            listed = ", ".join(workshop.commands) or "none"
            raise LinkError(
                f"the agent '{self.name}' starts {program}, which is not listed (listed: {listed})",
                hint="name it by its whole path in STRATA_SANDBOX_COMMANDS",
            )
        said = f"{self.version}\0{self.prints}\0" + "\0".join(self.arguments)
        digest = agent_digest(self.name, "command", said, self.signature)
        real = str(Path(program).resolve())
        setup = {"program": real, "arguments": self.arguments, "prints": self.prints, "output": 8 * MIB}
        seconds = seconds_of(self.signature)
        cell = Cell(
            "command",
            "stratarouter_runtime.agents.inside.command",
            digest,
            orjson.dumps(setup),
            cpu=self.signature.needs.cpu,
            memory=self.signature.needs.memory_mb * MIB,
            seconds=seconds,
            cpu_seconds=seconds,
            calls=1,  # what it leaves behind, a process among it, is gone before the next
            reads=(real,),
            programs=(real,),
            spawning=True,
        )
        return ConfinedAgent(self.name, self.signature, digest, cell, workshop.cells, cap=workshop.max_output)


def read(declaration: Declaration) -> Command | None:
    """Reads `command` and `prints`."""
    fields = declaration.fields
    node = fields.need("command", "write command: [/usr/bin/jq, -c, .total]")
    arguments = fields.texts("command")
    prints = fields.word("prints", _PRINTS)
    if node is None or arguments is None:
        return None
    if not arguments or not arguments[0].startswith("/"):
        fields.diagnostics.add("E134", node.at, "a command begins with the whole path of its program")
        return None
    return Command(
        declaration.name,
        declaration.signature,
        declaration.version,
        arguments,
        "text" if prints == "text" else "json",
    )
