"""Plants faults, one at a time, in a copy of the tree, and sees whether the proofs notice.

    python -m tools.planting [WORDS OF A NAME ...]

The faults stand in plants.toml. Exit code 1 where one went unnoticed, or no longer fits the
source. Must never know: why anything is a fault.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct, convert

ROOT: Final = Path(__file__).resolve().parents[1]
COPIED: Final = ("src", "tests", "examples", "docs", "pyproject.toml")
SOURCE: Final = Path("src/stratarouter_runtime")
SEEDS: Final = (0, 20, 200, 1_000, 3_000)
"""Seeds are told up to each of these, until one goes wrong."""

PATIENCE: Final = 180.0
"""Seconds after which a proof that hangs has noticed something."""


class Plant(Struct, frozen=True):
    """A fault: what stands in a file, what is put in its place, and what must notice."""

    name: str
    file: str
    old: str
    new: str
    by: str


class Broken(Exception):
    """The tree does not run as it is: a proof that cannot begin has noticed nothing."""


class Found(Struct, frozen=True):
    """What became of a fault that was planted."""

    plant: Plant
    noticed: bool
    how: str
    seconds: float


def plants(words: Sequence[str] = ()) -> list[Plant]:
    """All that can be planted, or those whose names have all of these words."""
    listed = tomllib.loads((ROOT / "tools/plants.toml").read_text(encoding="utf-8"))["plant"]
    return [each for each in convert(listed, list[Plant]) if all(word in each.name for word in words)]


def fits(plant: Plant, root: Path = ROOT) -> bool:
    """Whether what is to be replaced stands in the source exactly once."""
    return (root / SOURCE / plant.file).read_text(encoding="utf-8").count(plant.old) == 1


def planted(plant: Plant, root: Path) -> Found:
    """Plant it in the copy at `root`, look, and take it out again."""
    path = root / SOURCE / plant.file
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(plant.old, plant.new), encoding="utf-8")
    began = time.monotonic()
    try:
        _check_import(root, plant.file)
        how = _look(root, plant.by)
    except Broken as broken:
        return Found(plant, False, f"does not run: {broken}", time.monotonic() - began)
    except subprocess.TimeoutExpired:
        how = "it hangs"
    finally:
        path.write_text(before, encoding="utf-8")
    return Found(plant, bool(how), how, time.monotonic() - began)


def _check_import(root: Path, file: str) -> None:
    """Raise `Broken` where the file is no Python any more, or cannot be imported. SQL is for its proof to run."""
    module, _, kind = file.rpartition(".")
    if kind == "py":
        done = _run(root, ["-c", f"import stratarouter_runtime.{module.replace('/', '.')}"])
        if done.returncode:
            raise Broken(_last(done.stderr))


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["it ends"])[-1]


def _look(root: Path, by: str) -> str:
    """What a proof notices; "" for nothing. Raises `Broken` where it cannot begin."""
    return _simulated(root) if by == "simulation" else _tested(root, by)


def _simulated(root: Path) -> str:
    """The first seed that goes wrong, and how; "" where none does."""
    for first, behind in pairwise(SEEDS):
        command = ["-m", "stratarouter_runtime.testing.simulation", str(first), str(behind - first)]
        done = _run(root, command)
        found = re.search(r"^seed (\d+): (.*)$", done.stdout, re.MULTILINE)
        if found is not None:
            return f"seed {found[1]}: {found[2]}"
        if done.returncode:
            raise Broken(_last(done.stderr))
    return ""


def _tested(root: Path, arguments: str) -> str:
    """The first test that fails, or cannot be set up; "" where none does."""
    done = _run(root, ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments.split()])
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (\S+::\S+)", done.stdout, re.MULTILINE)
    if done.returncode != 1 or found is None:
        raise Broken(_last(done.stdout))
    return found[1]


def _run(root: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    inherited = os.environ  # noqa: TID251 - a child inherits the environment
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *arguments],
        cwd=root,
        env={**inherited, "PYTHONPATH": str(root / "src"), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def _holds(root: Path, by: str) -> str:
    """What is wrong before anything is planted; "" for nothing."""
    try:
        return _look(root, by)
    except Broken as broken:
        return str(broken)


def main(words: Sequence[str]) -> int:
    """Plant, and print a line of the table for each."""
    chosen, unnoticed = plants(words), 0
    with TemporaryDirectory(prefix="strata-planted-") as name:
        root = Path(name)
        for part in COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, root / part)
        for by in sorted({plant.by for plant in chosen}):
            if wrong := _holds(root, by):
                sys.stdout.write(f"{by} does not hold as it is: {wrong}\n")
                return 1
        for plant in chosen:
            found = planted(plant, root) if fits(plant, root) else Found(plant, False, "does not fit", 0.0)
            unnoticed += not found.noticed
            mark = "noticed" if found.noticed else "UNNOTICED"
            sys.stdout.write(f"{mark:<10} {found.seconds:6.1f} s  {plant.name}\n{'':<12}{found.how[:200]}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - unnoticed} of {len(chosen)} noticed\n")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
