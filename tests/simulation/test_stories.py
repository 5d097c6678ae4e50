"""The production engine under seeded trouble: see `stratarouter_runtime.testing.simulation`.

A seed that goes wrong is told again by the command in the failure, and belongs into seeds.txt.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Returned
from stratarouter_runtime.testing.simulation import Told, story, tell
from stratarouter_runtime.testing.stage import Stage
from stratarouter_runtime.testing.temper import EIGHTH

CORPUS: Final = Path(__file__).with_name("seeds.txt")
ORDINARY: Final = 500
FULL: Final = 20_000
AT_ONCE: Final = 2
"""Processes that share the full run."""


def corpus() -> list[int]:
    """The seeds that once went wrong."""
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    return sorted({int(line.split()[0]) for line in lines if not line.startswith("#")})


def told_well(seed: int) -> Told:
    """Tell a story; fail with the command that tells it again."""
    told = tell(seed)
    assert not told.wrong, (
        f"{told.wrong}\nagain: ./strata test tests/simulation/test_stories.py --seed {seed}"
    )
    return told


def simulate(first: int, count: int, hash_seed: int = 0) -> subprocess.Popen[str]:
    """A process of its own that tells `count` stories."""
    command = [sys.executable, "-W", "error", "-m", "stratarouter_runtime.testing.simulation"]
    return subprocess.Popen(  # noqa: S603 - ours
        [*command, str(first), str(count)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},  # noqa: TID251 - handed on whole
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    """What it printed; fails unless every story went well."""
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def test_no_promise_is_broken_under_many_seeds(request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--seed")
    told = [told_well(each) for each in (range(ORDINARY) if seed is None else [seed])]
    assert sum(each.executions for each in told) >= len(told)


@pytest.mark.parametrize("seed", corpus())
def test_what_once_went_wrong_stays_right(seed: int) -> None:
    told_well(seed)


def test_a_seed_is_the_same_story_whatever_the_hash_seed() -> None:
    first, second = (simulate(0, 150, hash_seed) for hash_seed in (1, 2))
    assert said(first) == said(second)


def test_another_seed_is_another_story() -> None:
    assert len({tell(seed).digest for seed in range(20)}) == 20


@pytest.mark.full
def test_no_promise_is_broken_under_twenty_thousand_seeds() -> None:
    each = FULL // AT_ONCE
    for process in [simulate(number * each, each) for number in range(AT_ONCE)]:
        said(process)


def test_answers_are_kept_and_shared_in_some_stories() -> None:
    kinds, replies = Counter[str](), 0
    for seed in range(EIGHTH, 100, 8):
        stage = Stage(seed)
        stage.loop.run(story(stage))
        stage.loop.close()
        replies += sum(reply.row.status == "completed" for reply in stage.evidence.replies)
        for row in stage.evidence.rows():
            for record in stage.evidence.records(row.id):
                event = decode(record.body)
                if isinstance(event, Returned) and event.reused is not None:
                    kinds[event.reused.kind] += 1
    assert kinds["exact"] > 10
    assert kinds["coalesced"] > 10
    assert replies > 10
