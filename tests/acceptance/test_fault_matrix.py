"""`strata bench --faults`: a few cells of the matrix in every run, all of them on both stores under `--full`."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from tests.postgres import server

from stratarouter_runtime.bench.faults import matrix as matrices
from stratarouter_runtime.bench.faults.lives import Result, Trial
from stratarouter_runtime.bench.faults.points import POINTS, Kill
from stratarouter_runtime.bench.faults.shapes import SHAPES


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stratarouter_runtime", "bench", "--faults", "--folder", str(folder)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - ours


@pytest.mark.parametrize("store", ["file", "database"])
def test_some_points_of_one_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    monkeypatch.setattr(matrices, "SHAPES", [shape for shape in SHAPES if shape.name == "saga"])
    monkeypatch.setattr(matrices, "POINTS", ("after the fact is written", "in a call", "while it undoes"))
    url = None if store == "file" else asyncio.run(server().database())
    cells = list(matrices.matrix(tmp_path, url))
    assert [cell.point for cell in cells] == ["after the fact is written", "in a call", "while it undoes"]
    assert all(cell.green for cell in cells), cells
    assert [cell.kills for cell in cells][1:] == [6, 2]
    assert cells[1].repeated >= 5


@pytest.mark.full
@pytest.mark.parametrize("store", ["file", "database"])
def test_the_whole_matrix_is_green(tmp_path: Path, store: str) -> None:
    more = [] if store == "file" else ["--store", asyncio.run(server().database())]
    done = bench(tmp_path, "--json", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    found = msgspec.json.decode(done.stdout)
    assert found["green"]
    stores = 1 if store == "file" else 2
    assert len(found["cells"]) == stores * (len(SHAPES) * (len(POINTS) - 1) + 1)
    assert sum(cell["kills"] for cell in found["cells"]) > stores * 100


def test_a_cell_without_a_kill_is_red() -> None:
    cell = matrices.Cell("SQLite", "in a call", "saga", 3, 0, 0, 2, 3, 0.1, ())
    assert cell.green
    assert not msgspec.structs.replace(cell, kills=0, replayed=0).green
    assert not msgspec.structs.replace(cell, replayed=2).green


def test_a_life_that_hangs_is_ended_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "PATIENCE", 0.1)
    process, hangs = matrices._live(multiprocessing.get_context("spawn"), time.sleep, 60)
    assert hangs
    assert not process.is_alive()


TRIAL = Trial("sequence", Kill("in a call", 0), "k", "s.db", "s.notes")
WELL = Result(status="completed", output={"n": 4}, answers=[(5, "1", 1)], replays=True)
LINES = [line.split() for line in ("7 acknowledged e", "7 call tick 1 1", "8 call pay 2 1")]


@pytest.mark.parametrize(
    ("result", "lines", "says"),
    [
        (WELL, LINES, ""),
        (Result(error="NotFound('no execution')"), LINES, "lost"),
        (WELL, [*LINES, ["8", "call", "pay", "2", "1"]], "doubled"),
        (WELL, [*LINES, ["8", "call", "tick", "1", "1"]], "called again"),
        (WELL, LINES[:2], "never paid"),
        (msgspec.structs.replace(WELL, output={"n": 5}), LINES, "lost"),
    ],
)
def test_a_cell_is_red_where_a_promise_is_broken(result: Result, lines: list[list[str]], says: str) -> None:
    seen = matrices._judge(TRIAL, result, lines, "7", 6)
    red = " ".join([*seen.wrong, "lost" * seen.lost, "doubled" * seen.doubled])
    assert says in red
    assert bool(red.strip()) == bool(says)
