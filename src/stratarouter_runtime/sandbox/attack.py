"""Attacks every level that claims isolation, from inside, and tells what became of each attempt.

Must never know: how walls are built, or what stopped a probe.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.ids import Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import AgentCall, Cell
from stratarouter_runtime.sandbox import sweep
from stratarouter_runtime.sandbox.probes import PROBES, WORKING
from stratarouter_runtime.sandbox.walls import MIB

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Cells

_PROBES: Final = "stratarouter_runtime.sandbox.probes"
_PROGRAM: Final = "stratarouter_runtime.agents.inside.command"
_CALLS: Final = "stratarouter_runtime.sandbox.calls"
_TEXT: Final = "stratarouter_runtime.agents.inside.text"
_SIBLING: Final = b'{"code":"import os\\ndef run(): return os.getpid()"}'
_VARIABLE: Final = "STRATA_ATTACK_SECRET"
_PYTHON: Final = str(Path(sys.executable).resolve())

ACCIDENTS: Final = frozenset({"secret_in_environment", "memory_bomb", "cpu_spin", "threads", "imports"})
"""What `process` stops, which is made for accidents: the others are told, and held against nobody."""


class Attempt(Struct, frozen=True):
    """One probe at one level. `held` says whether the walls did what they promise there.

    `how` is the failure that was recorded, or what the probe got.
    """

    level: str
    probe: str
    held: bool
    promised: bool
    how: str


class Target(Struct, frozen=True):
    """A level under attack."""

    name: str
    cell: Cell


def targets() -> tuple[Target, ...]:
    """Every kind of wall there is. What runs on monty and what is started stand behind the same one."""
    boxed = Cell(
        "sandbox", _PROBES, Digest("attack"), b"{}", seconds=5, cpu_seconds=0.5, calls=1, disk=32 * MIB
    )
    command = replace(
        boxed,
        level="command",
        program=_PROGRAM,
        setup=_started("probes.py"),
        programs=(_PYTHON,),
        spawning=True,
    )
    return (
        Target("process", replace(boxed, level="process")),
        Target("sandbox", boxed),
        Target("sandbox, monty", replace(boxed, spawning=True)),
        Target("wasm", replace(boxed, level="wasm")),
        Target("command", command),
    )


def _started(script: str) -> bytes:
    """What a worker is set up with that starts this script, which lies beside us."""
    arguments = [_PYTHON, "-I", str(Path(__file__).with_name(script).resolve())]
    return msgspec.json.encode({"program": _PYTHON, "arguments": arguments, "prints": "json", "output": MIB})


async def attack(cells: Cells) -> AsyncIterator[Attempt]:
    """Every probe at every level that can be had here; one line for a level that cannot."""
    with prey() as found:
        facts = {**found, "sibling": await sibling(cells)}
        for target in targets():
            try:
                cells.admit(target.name, target.cell)
            except Exception as error:  # noqa: BLE001 - a level that is refused has been told, and is no worse
                yield Attempt(target.name, "(none)", held=True, promised=True, how=str(error))
                continue
            for probe in PROBES:
                yield await _attempt(cells, target, probe, facts)
            if target.cell.level != "process":
                yield await _sweep(cells, target)


async def sibling(cells: Cells) -> int:
    """The process of a worker of another tenant, which waits for its next call meanwhile."""
    cell = Cell("sandbox", _TEXT, Digest("sibling"), _SIBLING, memory=96 * MIB, disk=MIB)
    reply = await cells.call(cell, replace(_call({}), tenant=Tenant("sibling")))
    # Where there are no walls at all nobody stands beside, and the server has to do.
    return reply.output if isinstance(reply.output, int) else os.getpid()


async def _sweep(cells: Cells, target: Target) -> Attempt:
    """Every call of the system that is on no list, or on that of the deadly ones."""
    cell = replace(target.cell, digest=Digest(f"{target.name} sweep"), cpu_seconds=5)
    refused, ended = sweep.refused_numbers(spawning=cell.spawning), sweep.ended_numbers()
    if cell.level == "command":
        found, survived = await _swept_below(cells, cell, refused, ended)
    else:
        found, survived = await _swept(cells, replace(cell, program=_CALLS), refused, ended)
    answers = dict(zip(refused, found, strict=False))
    passed = [*(number for number in refused if answers.get(number) not in sweep.REFUSED), *survived]
    how = f"sandbox: {len(refused)} calls refused, {len(ended)} deadly"
    if passed:
        how = f"got through: {passed[:8]}" if found else "it could not be made"
    return Attempt(target.name, "sweep", held=not passed, promised=True, how=how)


async def _swept(
    cells: Cells, cell: Cell, refused: Sequence[int], ended: Sequence[int]
) -> tuple[Sequence[int], Sequence[int]]:
    """What each call of the first was answered, and which of the others did not end who made them."""
    reply = await cells.call(cell, _call({"numbers": refused}))
    survived = []
    for number in ended:
        alone = await cells.call(cell, _call({"numbers": [number]}))
        if alone.failure is None or alone.failure.kind != "sandbox":
            survived.append(number)
    return reply.output or (), survived


async def _swept_below(
    cells: Cells, cell: Cell, refused: Sequence[int], ended: Sequence[int]
) -> tuple[Sequence[int], Sequence[int]]:
    """The same of a program that is started, which starts a process for each call that is deadly."""
    cell = replace(cell, setup=_started("calls.py"))
    reply = await cells.call(cell, _call({"numbers": refused, "deadly": ended}))
    return reply.output or ((), ended)


def _call(given: dict[str, Any]) -> AgentCall:
    return AgentCall(
        ExecutionId("attack"), Tenant("attack"), Digest("attack"), seed="0", attempt=1, input=given
    )


async def _attempt(cells: Cells, target: Target, probe: str, facts: dict[str, Any]) -> Attempt:
    # A worker of its own for each: what one leaves behind is no help to the next.
    cell = replace(target.cell, digest=Digest(f"{target.name} {probe}"))
    reply = await cells.call(cell, _call({"probe": probe, "facts": facts}))
    promised = target.cell.level != "process" or probe in ACCIDENTS
    if reply.failure is not None:
        how = f"{reply.failure.kind}: {reply.failure.message.splitlines()[-1]}"
        return Attempt(
            target.name, probe, held=probe not in WORKING or not promised, promised=promised, how=how
        )
    worked = probe in WORKING and reply.output == repr(WORKING[probe])
    return Attempt(
        target.name,
        probe,
        held=worked or not promised,
        promised=promised,
        how=f"got {str(reply.output)[:60]}",
    )


@contextmanager
def prey() -> Iterator[dict[str, Any]]:
    """What there is to get: a store, a folder, listeners, a variable, and this process."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="strata-attack-")))
        folder.chmod(0o755)
        store, outside = folder / "store.db", folder / "outside"
        store.write_text("a secret of the server", encoding="utf-8")
        store.chmod(0o600)
        outside.mkdir()
        outside.chmod(0o777)
        listening = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        datagrams = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", 0))
        named = held.enter_context(socket.socket(socket.AF_UNIX))
        name = f"strata-attack-{os.getpid()}"
        named.bind("\0" + name)
        named.listen()
        os.putenv(_VARIABLE, "a secret of the server")
        yield {
            "server": os.getpid(),
            "store": str(store),
            "outside": str(outside),
            "variable": _VARIABLE,
            "tcp": listening.getsockname()[1],
            "udp": datagrams.getsockname()[1],
            "abstract": name,
        }
        os.unsetenv(_VARIABLE)
