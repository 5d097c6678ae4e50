"""How long a fresh process takes to its first completed execution.

Must never know: what happens in that process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import perf_counter

from stratarouter_runtime.bench.flows import chain
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.tally import quantile

_FIRST = """
import sys
from pathlib import Path
import uvloop
from stratarouter_runtime.bench.first import first
uvloop.run(first(Path(sys.argv[1]), sys.argv[2]))
"""


def start(folder: Path, rounds: int = 5) -> Measure:
    """From starting Python to the first durable execution, on a store that is new each time."""
    took = [seconds(_FIRST, str(folder / f"start{number}.db"), chain(1)) for number in range(rounds)]
    bare = [seconds("pass") for _ in range(rounds)]
    return Measure(
        "first completed execution after process start",
        quantile(took, 0.5),
        "s",
        0.8,
        "less",
        quantile(bare, 0.5),
        "starting Python alone",
    )


def seconds(program: str, *arguments: str) -> float:
    """How long Python takes for a program, from start to end."""
    began = perf_counter()
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)  # noqa: S603 - our own program
    return perf_counter() - began
