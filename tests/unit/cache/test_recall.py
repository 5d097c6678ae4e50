"""Whatever fails while an answer is looked for is a miss, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from typing_extensions import override

from stratarouter_runtime.cache import recall
from stratarouter_runtime.cache.answers import LARGEST, Answer
from stratarouter_runtime.cache.policy import Policy
from stratarouter_runtime.cache.recall import Cache, Question
from stratarouter_runtime.canonical import digest
from stratarouter_runtime.errors import StoreError
from stratarouter_runtime.ids import LOCAL, ExecutionId
from stratarouter_runtime.ports import Embedder
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemClock

POLICY = Policy(("q",), 0.85, 60_000_000, None, 0.0, True, True, "", ())
QUESTION = Question(LOCAL, "flow:t", POLICY, digest("q"), digest("plan"), {}, ("where is it",))
SOURCE = ExecutionId("exec_0")


class Hanging(Embedder):
    """An encoder that never answers."""

    @property
    @override
    def identity(self) -> str:
        return "hanging"

    @override
    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        await asyncio.Event().wait()
        return ()


class Away:
    """A store in which nothing is found."""

    def __init__(self) -> None:
        self._real: Any = MemoryStore().cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def find(self, *_: object) -> None:
        """Fails."""
        raise StoreError("away")


def cache(store: Any) -> Cache:
    """Without vectors."""
    return Cache(store, Hanging(), SystemClock())


async def test_an_encoder_that_takes_too_long_is_a_counted_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """And holds up neither who asks nor who keeps; the very same question is found."""
    monkeypatch.setattr(recall, "PATIENCE", 0.01)
    kept = cache(MemoryStore().cache)
    looked = await kept.look(kept.ask(QUESTION))
    assert looked.found is None
    assert [refusal.gate for refusal in looked.refused] == ["fault"]
    assert await kept.keep(looked.asked, Answer(b"1"), SOURCE)
    assert kept.at_hand(kept.ask(QUESTION)) is not None
    assert kept.ledger.counts()[0].faults == {"look-up": 1, "encoder": 1}
    await kept.close()


async def test_a_store_that_fails_is_a_counted_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the exact tier; the other is asked all the same."""
    monkeypatch.setattr(recall, "PATIENCE", 0.01)
    kept = cache(Away())
    assert (await kept.look(kept.ask(QUESTION))).found is None
    assert kept.ledger.counts()[0].faults == {"store": 1, "look-up": 1}


@pytest.mark.parametrize(("size", "taken"), [(LARGEST, True), (LARGEST + 1, False)])
async def test_an_answer_that_is_too_large_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, size: int, *, taken: bool
) -> None:
    """Up to a mebibyte it is."""
    monkeypatch.setattr(recall, "PATIENCE", 0.01)
    kept = cache(MemoryStore().cache)
    assert await kept.keep(kept.ask(QUESTION), Answer(b"x" * size), SOURCE) is taken
    await kept.close()


async def test_an_answer_as_old_as_it_may_get_is_not_kept() -> None:
    """It would be refused by its age at once."""
    kept = cache(MemoryStore().cache)
    asked = kept.ask(Question(LOCAL, "flow:t", POLICY, digest("q"), digest("plan")))
    long_ago = SystemClock().now() - POLICY.ttl
    assert not await kept.keep(asked, Answer(b"1"), SOURCE, long_ago)
    assert await kept.keep(asked, Answer(b"1"), SOURCE, long_ago + 30_000_000)
    await kept.close()
