"""The same decision in every process: real ones, with other hash seeds and other numbers of BLAS threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.routing.fake import ENCODER, fitted, table

from stratarouter_runtime.bench.deciding import made_up
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.routing.decisions import Router

_ASKING: Final = """
import sys
from pathlib import Path
from blake3 import blake3
import numpy as np
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.routing.decisions import Router
body = Path(sys.argv[1]).read_bytes()
router = Router(fitting.decode(body), fitting.digest_of(body))
chance = np.random.default_rng(3)
digest = blake3()
for row in range(200):
    vector = chance.standard_normal(384).astype("<f4")
    vector /= np.linalg.norm(vector)
    names = None if row % 2 else router.routes[row % 7 :: 2]
    digest.update(repr(router.decide(f"word{row} word{row + 1} of route {row}", vector.tobytes(), sys.argv[2], names)).encode())
print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table large enough that products over all of it would be cut up among threads."""
    written, vectors, none = made_up(300)
    path = tmp_path_factory.mktemp("table") / "fitted"
    path.write_bytes(fitting.encode(fitting.fit(written, vectors, none, ENCODER)))
    return path


def ask(kept: Path, **variables: str) -> str:
    found = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", _ASKING, str(kept), ENCODER],
        env={**os.environ, **variables},  # noqa: TID251 - the child needs a path
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout


def test_neither_hash_seeds_nor_threads_change_a_decision(kept: Path) -> None:
    ways = [(seed, threads) for seed in ("0", "1") for threads in ("1", "2", "7")]
    found = {ask(kept, PYTHONHASHSEED=seed, OPENBLAS_NUM_THREADS=threads) for seed, threads in ways}
    assert len(found) == 1


@given(st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True), st.integers(0, 2**32 - 1))
def test_a_score_does_not_depend_on_its_neighbours(kept: list[int], seed: int) -> None:
    """What else may be chosen changes probabilities, and nothing that a route is weighed by itself."""
    router = _ROUTER
    vector = np.random.default_rng(seed).standard_normal(64).astype("<f4")
    vector /= np.linalg.norm(vector)
    names = [router.routes[number] for number in kept]
    alone = {
        name: router.decide("a refund", vector.tobytes(), ENCODER, [name]).candidates[0] for name in names
    }
    for found in router.decide("a refund", vector.tobytes(), ENCODER, names).candidates:
        assert (found.nearest, found.lexical) == (alone[found.route].nearest, alone[found.route].lexical)


_MADE = fitted(table(none=24))
_ROUTER = Router(_MADE, fitting.digest_of(fitting.encode(_MADE)))
