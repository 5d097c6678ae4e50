"""Keeps a process, and all that it will start, to some of the machine's processors.

Must never know: who runs on them.
"""

from __future__ import annotations

import os
from typing import Final

MOST_CPUS: Final = 4


def bind_cpus(most: int = MOST_CPUS) -> None:
    """Keep to so many of the processors that this process may run on; children inherit it."""
    if not hasattr(os, "sched_setaffinity"):
        return
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) > most:
        os.sched_setaffinity(0, mine[:most])
