"""`strata bench --faults`: the fault matrix as a table, a line a cell as soon as it is known.

Must never know: how processes are killed, or what must be true after.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.output import write
from stratarouter_runtime.host import cores, describe

if TYPE_CHECKING:
    from stratarouter_runtime.bench.faults.matrix import Cell

_HEAD: Final = (
    f"{'store':<11}{'killed':<31}{'shape':<10}{'kills':>6}{'lost':>6}{'doubled':>9}"
    f"{'repeated':>10}{'replayed':>10}{'at work again':>15}"
)
_LEGEND: Final = """
lost: acknowledged, and not there, or without the end it must come to. doubled: effects made twice.
repeated: calls made again whose answer was not durable yet, which their agents allow.
replayed: journals that replay to the byte. at work again: the longest, from the start of the next
process, which has its modules loaded, until it had taken the execution up."""


def faults(folder: Path, store: str | None, *, json: bool) -> int:
    """Kill at every point, on a file in `folder` and on the database of the URL; 1 where a cell is red."""
    from stratarouter_runtime.bench.faults.matrix import matrix  # noqa: PLC0415 - start-up cost

    cells: list[Cell] = []
    with TemporaryDirectory(prefix="strata-bench-", dir=folder) as name:
        if not json:
            sys.stdout.write(f"{describe()}, {cores()} cores\n\n{_HEAD}\n")
        for database in (None, store) if store else (None,):
            place = Path(name) / ("database" if database else "file")
            place.mkdir()
            cells += _shown(matrix(place, database), json=json)
    green = all(cell.green for cell in cells)
    if json:
        write({"machine": describe(), "cores": cores(), "green": green, "cells": cells})
    else:
        red = [cell for cell in cells if not cell.green]
        kills = sum(cell.kills for cell in cells)
        sys.stdout.write(f"{_LEGEND}\n\n{kills} kills, {len(cells)} cells, {len(red)} red\n")
    return Exit.OK if green else Exit.FAILED


def _shown(cells: Iterable[Cell], *, json: bool) -> list[Cell]:
    shown = []
    for cell in cells:
        shown.append(cell)
        if not json:
            sys.stdout.write(_line(cell))
            sys.stdout.flush()
    return shown


def _line(cell: Cell) -> str:
    again = "-" if cell.seconds is None else f"{cell.seconds:.3f} s"
    line = (
        f"{cell.store:<11}{cell.point:<31}{cell.shape:<10}{cell.kills:>6}{cell.lost:>6}{cell.doubled:>9}"
        f"{cell.repeated:>10}{cell.replayed:>10}{again:>15}"
    )
    wrong = "" if cell.green else "".join(f"\n  RED {word}" for word in cell.wrong) or "\n  RED"
    return f"{line}{wrong}\n"
