"""Small flows, one of each shape, and agents that write down every call before they answer.

Must never know: who is killed when.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.ports import Agent, AgentCall, AgentReply
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.tcfp.loader import load
from stratarouter_runtime.tcfp.registry import LinkableAgent
from stratarouter_runtime.tcfp.standins import stand_ins
from stratarouter_runtime.tcfp.validator import validate

_HEAD: Final = """
tcfp: "1.0"
flow: faults.NAME
agents:
  tick: {in: {n: int}, out: {n: int}, effect: idempotent}
  pay: {in: {n: int}, out: {n: int}, effect: effect, on_crash: ask}
  book: {in: {n: int}, out: {ref: string}, effect: idempotent}
  drop: {in: {ref: string}, out: {done: bool}, effect: idempotent}
  refuse: {in: {n: int}, out: {n: int}, effect: pure}
in: {n: int}
out: {n: int}
do:
"""

_PAUSE: Final = "  - {sleep: 80ms}\n"

_BODIES: Final = {
    "sequence": """
  - {id: x, call: tick, with: {n: =n}}
  - {id: y, call: pay, with: {n: =x.n}}
  - {id: z, call: tick, with: {n: =y.n}}
return: {n: =z.n}
""",
    "parallel": """
  - id: p
    par:
      a: {call: tick, with: {n: =n}}
      b: {call: pay, with: {n: =n}}
      c: {call: tick, with: {n: =n}}
  - {id: z, call: tick, with: {n: =p.b.n}}
return: {n: =z.n}
""",
    "map": """
  - id: e
    each: =[n, n + 1, n + 2, n + 3]
    as: x
    max: 4
    parallel: 2
    do: {call: tick, with: {n: =x}}
  - {id: y, call: pay, with: {n: '=e.map(r, r.n).sum()'}}
return: {n: =y.n}
""",
    "loop": """
  - id: l
    loop: {n: =n, turn: 0}
    as: s
    while: =s.turn < 3
    max: 3
    do:
      - {id: x, call: tick, with: {n: =s.n}}
    return: {n: =x.n, turn: =s.turn + 1}
  - {id: y, call: pay, with: {n: =l.n}}
return: {n: =y.n}
""",
    "ask": """
  - {id: x, call: tick, with: {n: =n}}
  - {id: q, ask: {n: int}, time: 1h}
  - {id: y, call: pay, with: {n: =q.n}}
return: {n: =y.n}
""",
    "saga": """
  - {id: f, call: book, with: {n: =n}, undo: {call: drop, with: {ref: =f.ref}}}
  - {id: g, call: book, with: {n: =n}, undo: {call: drop, with: {ref: =g.ref}}}
  - {id: y, call: pay, with: {n: =n}}
  - {id: z, call: refuse, with: {n: =y.n}}
return: {n: =z.n}
""",
}

ANSWER: Final = {"n": 5}
"""What is answered to the step that asks."""


class Shape(Struct, frozen=True):
    """A flow, and what it comes to: a status, and where it completes an output."""

    name: str
    source: str
    status: str
    output: dict[str, int] | None


def _shape(name: str, n: int | None) -> Shape:
    source = _HEAD.replace("NAME", name) + _PAUSE + _BODIES[name].lstrip("\n")
    return Shape(name, source, "failed" if n is None else "completed", None if n is None else {"n": n})


SHAPES: Final = (
    _shape("sequence", 4),
    _shape("parallel", 3),
    _shape("map", 15),
    _shape("loop", 5),
    _shape("ask", 6),
    _shape("saga", None),
)
"""All on the input `n` = 1; the saga is refused at its end, and undone."""


class Notes:
    """What happened, line by line, in a file that outlives whoever writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, *words: object) -> None:
        """Add a line, with the process that writes it."""
        line = " ".join(map(str, (os.getpid(), *words))) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def lines(self) -> list[list[str]]:
        """All lines as words, the process first."""
        if not self._path.exists():
            return []
        return [line.split() for line in self._path.read_text(encoding="utf-8").splitlines()]


class NotedAgent(Agent):
    """Answers `n` with `n + 1`, after it has written the call down and told `heard`."""

    def __init__(self, like: LinkableAgent, notes: Notes, heard: Callable[[str], None]) -> None:
        self.name, self.signature, self.digest = like.name, like.signature, like.digest
        self._notes = notes
        self._heard = heard

    @override
    async def call(self, call: AgentCall) -> AgentReply:
        self._notes.write("call", self.name, call.step, call.attempt)
        self._heard(self.name)
        await asyncio.sleep(0.002)
        match self.name:
            case "refuse":
                return AgentReply(failure=Failure("agent.refused", "as always"))
            case "drop":
                return AgentReply({"done": True})
            case "book":
                return AgentReply({"ref": call.key[:16]})
            case _:
                return AgentReply({"n": call.input["n"] + 1})


def agents(notes: Notes, heard: Callable[[str], None]) -> Registry:
    """The agents of all shapes."""
    linked: dict[str, LinkableAgent] = {}
    for shape in SHAPES:
        flow = load(shape.source).flow
        assert flow is not None
        linked |= stand_ins(validate(flow))
    return Registry(NotedAgent(each, notes, heard) for each in linked.values())
