"""From a cell to the walls of its worker: what that reserves, reads, and may start.

Must never know: how walls are built, or who stands behind them.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.sandbox.paths import LOADERS, interpreter_paths
from stratarouter_runtime.sandbox.walls import Feature, Walls

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Cell

START_SECONDS: Final = 30.0
"""What a worker may take to become ready: imports, and compiling what it was handed."""


def walls_of(cell: Cell, missing: tuple[Feature, ...]) -> Walls:
    """The walls of its workers, without the features that are missing here."""
    boxed = cell.level != "process"
    return Walls(
        boxed=boxed,
        spawning=cell.spawning,
        memory=cell.memory,
        cpu=_cpu_of_a_life(cell),
        disk=cell.disk,
        descriptors=64 if boxed else 1_024,
        reads=(*interpreter_paths(), *cell.reads) if boxed else (),
        programs=(*cell.programs, *LOADERS) if cell.programs else (),
        without=missing,
    )


def _cpu_of_a_life(cell: Cell) -> int:
    """Seconds that a worker, and each process it starts, may compute; calls are bounded one by one beside it."""
    started = START_SECONDS if cell.calls > 1 else 0.0
    return max(1, ceil(cell.cpu_seconds * cell.calls + started))


def held(cell: Cell) -> int:
    """Bytes of memory that a worker may fill: its own, and the files it keeps there."""
    return cell.memory if cell.level == "process" else cell.memory + cell.disk
