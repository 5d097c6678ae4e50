from __future__ import annotations

from collections.abc import Sequence

import pytest
from typing_extensions import override

from stratarouter_runtime.bridge.lazy import LazyScorer
from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.ports import Scorer


class Constant(Scorer):
    """Every text is as near as every other; counts how often it was closed."""

    closed = 0

    @property
    @override
    def identity(self) -> str:
        return "constant"

    @override
    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        return tuple(0.5 for _ in texts)

    def close(self) -> None:
        self.closed += 1


async def test_the_scorer_is_opened_once_and_only_when_it_is_needed() -> None:
    opened: list[Constant] = []

    def opening() -> Scorer:
        opened.append(Constant())
        return opened[-1]

    scorer = LazyScorer(opening)
    scorer.close()
    assert opened == []
    assert scorer.identity == "constant"
    assert await scorer.score("a", ["b", "c"]) == (0.5, 0.5)
    scorer.close()
    assert [each.closed for each in opened] == [1]


async def test_what_opening_raises_is_raised_by_whoever_needs_it() -> None:
    def opening() -> Scorer:
        raise InvalidSetting("no model")

    scorer = LazyScorer(opening)
    for _ in range(2):
        with pytest.raises(InvalidSetting, match="no model"):
            await scorer.score("a", ["b"])
