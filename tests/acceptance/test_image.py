"""The steps by which the image is built, done in a fresh virtual environment: no engine is needed for them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PLACE: Final = "/opt/strata"
"""Where the image has its environment."""


def steps() -> list[list[str]]:
    """The first stage, line by line: an instruction and the rest."""
    joined = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    build = joined.split("\nFROM ")[1]
    return [line.split(maxsplit=1) for line in build.splitlines()[1:] if line and not line.startswith("#")]


@pytest.mark.full
def test_what_the_image_is_built_by_makes_a_command_that_works(tmp_path: Path) -> None:
    folder, home = tmp_path / "build", tmp_path / "strata"
    folder.mkdir()
    ran = 0
    for instruction, rest in steps():
        match instruction:
            case "COPY":
                *names, _ = rest.split()
                for name in names:
                    _copy(ROOT / name, folder / name)
            case "RUN":
                command = rest.replace(PLACE, str(home)).replace(
                    "python -m venv", f"{sys.executable} -m venv"
                )
                subprocess.run(["/bin/sh", "-ec", command], cwd=folder, check=True, capture_output=True)  # noqa: S603 - ours
                ran += 1
            case _:
                assert instruction == "WORKDIR"
    assert ran == 5
    told = _strata(home, tmp_path, "serve", "--help")
    assert "Serve the flows and agents of a project over HTTP." in told
    assert re.search(r"\d+\.\d+", _strata(home, tmp_path, "--version"))
    assert not (home / "bin" / "hatchling").exists()


def _copy(of: Path, to: Path) -> None:
    if of.is_dir():
        shutil.copytree(of, to, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(of, to)


def _strata(home: Path, folder: Path, *arguments: str) -> str:
    command = [str(home / "bin" / "strata"), *arguments]
    return subprocess.run(command, cwd=folder, env={}, check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours
