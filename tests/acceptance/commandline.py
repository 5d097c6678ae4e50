"""The command line as its users have it: a process of its own, and what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
WAIT: Final = 30.0
"""Seconds that anything may take on a busy machine."""


class Done(Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as a document."""
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    """This environment without settings of the runtime, and with another order of hashes every time."""
    inherited = os.environ  # noqa: TID251 - a child inherits the environment
    own = {name: value for name, value in inherited.items() if not name.startswith(("SERVER_", "STRATA_"))}
    return own | {"PYTHONHASHSEED": "random"} | more


def command(*arguments: object) -> list[str]:
    """The words that start a command."""
    return [sys.executable, "-m", "stratarouter_runtime", *map(str, arguments)]


def start(*arguments: object, cwd: Path, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """A command that runs on."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [*prefix, *command(*arguments)],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def strata(*arguments: object, cwd: Path, prefix: Sequence[str] = ()) -> Done:
    """A command that has ended, without a traceback. `prefix` runs it in other circumstances."""
    process = start(*arguments, cwd=cwd, prefix=prefix)
    out, err = process.communicate(timeout=WAIT)
    assert "Traceback" not in err, err
    return Done(process.returncode, out, err)
