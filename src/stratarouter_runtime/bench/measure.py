"""A figure, its target, and its limit: what the same machine reaches, in the same run, with nothing around.

Machines are noisy, so a figure means little by itself; its ratio to a limit measured a
moment before means more. Must never know: what is measured.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Literal

from msgspec import Struct


class Measure(Struct, frozen=True):
    """One line of the table. `better` says which way is good; `limit` is what `against` names."""

    name: str
    value: float
    unit: str
    target: float
    better: Literal["more", "less"]
    limit: float
    against: str

    @property
    def reached(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.target if self.better == "more" else self.value <= self.target

    @property
    def ratio(self) -> float:
        """How many times worse than the limit: 1 is as good as it gets."""
        worse, best = (self.limit, self.value) if self.better == "more" else (self.value, self.limit)
        return worse / best if best else 0.0


def micros(work: Callable[[], object], *, repeat: int, rounds: int = 5) -> float:
    """Microseconds of one call: the best round, since noise only ever adds."""
    best = float("inf")
    for _ in range(rounds):
        began = perf_counter_ns()
        for _ in range(repeat):
            work()
        best = min(best, perf_counter_ns() - began)
    return best / repeat / 1_000


def processor_seconds(process: int) -> float:
    """What a process has taken of processors so far, all its threads together, to a hundredth of a second."""
    told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
