"""What the disk itself takes, measured: the floor under every durable figure.

Must never know: stores.
"""

from __future__ import annotations

import os
import tempfile
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = bytes(4096)


def fsync_latency(folder: Path, rounds: int = 100) -> float:
    """Median microseconds to write one page and have it synced, over a file in `folder`.

    The page is written over and over in place, as a write-ahead log does once it has its size.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        descriptor = file.fileno()
        os.pwrite(descriptor, PAGE, 0)
        os.fsync(descriptor)
        return median(_once(descriptor) for _ in range(rounds)) * 1e6


def _once(descriptor: int) -> float:
    start = perf_counter()
    os.pwrite(descriptor, PAGE, 0)
    os.fdatasync(descriptor)
    return perf_counter() - start
