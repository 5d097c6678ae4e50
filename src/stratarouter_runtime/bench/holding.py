"""What the process measured by `deciding` does: hold a fitted table, and say what memory it took.

Must never know: which table it is.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from stratarouter_runtime.bench.deciding import ENCODER, made_up
from stratarouter_runtime.host import resident
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.routing.decisions import Router


def hold(path: Path) -> float:
    """MiB that the process grows by with the table at work."""
    table, vectors, none = made_up(3)
    small = fitting.fit(table, vectors, none, ENCODER)
    _ask(Router(small, fitting.digest_of(b"")), none.shape[1])
    before = _resident()
    body = path.read_bytes()
    router = Router(fitting.decode(body), fitting.digest_of(body))
    del body
    _ask(router, none.shape[1])
    return (_resident() - before) / 2**20


def _ask(router: Router, dimension: int) -> None:
    router.decide("word1 word2", b"\0\0\x80\x3f" * dimension, ENCODER)


def _resident() -> int:
    gc.collect()
    return resident()


if __name__ == "__main__":
    sys.stdout.write(f"{hold(Path(sys.argv[1])):.1f}")
