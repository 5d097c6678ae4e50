from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from typing_extensions import override

from stratarouter_runtime.bridge.lazy import LazyEmbedder, LazyScorer
from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.ports import Embedder, Scorer


class Constant(Scorer, Embedder):
    """Every text is as near as every other; counts how often it was closed."""

    closed = 0

    @property
    @override
    def identity(self) -> str:
        return "constant"

    @override
    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        return tuple(0.5 for _ in texts)

    @override
    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        return tuple(b"" for _ in texts)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def opened() -> list[Constant]:
    return []


@pytest.fixture
def opening(opened: list[Constant]) -> Callable[[], Constant]:
    def opening() -> Constant:
        opened.append(Constant())
        return opened[-1]

    return opening


async def test_the_scorer_is_opened_once_and_only_when_it_is_needed(
    opened: list[Constant], opening: Callable[[], Constant]
) -> None:
    scorer = LazyScorer(opening)
    assert opened == []
    assert scorer.identity == "constant"
    assert await scorer.score("a", ["b", "c"]) == (0.5, 0.5)
    assert len(opened) == 1


async def test_the_embedder_is_opened_once_and_closed_where_it_was_opened(
    opened: list[Constant], opening: Callable[[], Constant]
) -> None:
    embedder = LazyEmbedder(opening)
    embedder.close()
    assert opened == []
    assert embedder.identity == "constant"
    assert await embedder.embed(["b", "c"]) == (b"", b"")
    embedder.close()
    assert [each.closed for each in opened] == [1]


async def test_what_opening_raises_is_raised_by_whoever_needs_it() -> None:
    def opening() -> Constant:
        raise InvalidSetting("no model")

    scorer, embedder = LazyScorer(opening), LazyEmbedder(opening)
    for _ in range(2):
        with pytest.raises(InvalidSetting, match="no model"):
            await scorer.score("a", ["b"])
        with pytest.raises(InvalidSetting, match="no model"):
            await embedder.embed(["a"])
