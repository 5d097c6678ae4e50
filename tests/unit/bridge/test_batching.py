from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from typing_extensions import override

from stratarouter_runtime.bridge.batching import BatchedEncoder
from stratarouter_runtime.bridge.encoder import Encoder, Vectors


class Counting(Encoder):
    """Encodes a text as its length; notes every batch; waits for `gate`; fails on `bad`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()

    @property
    @override
    def identity(self) -> str:
        return "counting"

    @property
    @override
    def dimension(self) -> int:
        return 2

    @override
    def encode(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        self.started.set()
        assert self.gate.wait(5)
        if "bad" in texts:
            raise RuntimeError("no")
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
async def front(counting: Counting) -> AsyncIterator[BatchedEncoder]:
    front = BatchedEncoder(counting, remember=3, batch=2)
    yield front
    counting.gate.set()
    front.close()


async def test_vectors_come_back_in_the_order_of_the_texts(front: BatchedEncoder) -> None:
    vectors = await front.encode(["aaa", "b", "cc", "b"])
    assert vectors[:, 0].tolist() == [3, 1, 2, 1]


async def test_no_texts_are_no_rows(front: BatchedEncoder) -> None:
    assert (await front.encode([])).shape == (0, 2)


async def test_a_text_is_encoded_once_while_it_is_remembered(
    front: BatchedEncoder, counting: Counting
) -> None:
    await front.encode(["a"])
    await front.encode(["a", "a"])
    assert counting.batches == [["a"]]


async def test_the_least_recently_used_text_is_forgotten_first(
    front: BatchedEncoder, counting: Counting
) -> None:
    for text in ("a", "b", "c", "a", "d", "a", "b"):
        await front.encode([text])
    assert counting.batches == [["a"], ["b"], ["c"], ["d"], ["b"]]


async def test_what_waits_while_a_batch_runs_is_the_next_batch(
    front: BatchedEncoder, counting: Counting
) -> None:
    counting.gate.clear()
    first = asyncio.ensure_future(front.encode(["a"]))
    await asyncio.to_thread(counting.started.wait, 5)
    later = [asyncio.ensure_future(front.encode([text])) for text in ("b", "a", "c", "b", "d")]
    await asyncio.sleep(0)
    counting.gate.set()
    await asyncio.gather(first, *later)
    assert counting.batches == [["a"], ["b", "c"], ["d"]]


async def test_an_asker_that_leaves_takes_nothing_from_the_others(
    front: BatchedEncoder, counting: Counting
) -> None:
    counting.gate.clear()
    leaving, staying = (asyncio.ensure_future(front.encode(["a"])) for _ in range(2))
    await asyncio.to_thread(counting.started.wait, 5)
    leaving.cancel()
    counting.gate.set()
    assert (await staying).tolist() == [[1, 1]]
    assert counting.batches == [["a"]]


async def test_a_failure_reaches_all_who_asked_and_is_not_remembered(
    front: BatchedEncoder, counting: Counting
) -> None:
    answers = await asyncio.gather(front.encode(["bad"]), front.encode(["bad"]), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["no", "no"]
    assert (await front.encode(["good"])).shape == (1, 2)
    with pytest.raises(RuntimeError, match="no"):
        await front.encode(["bad"])


async def test_closing_gives_up_what_waits(counting: Counting) -> None:
    front = BatchedEncoder(counting, batch=1)
    counting.gate.clear()
    asked = [asyncio.ensure_future(front.encode([text])) for text in ("a", "b")]
    await asyncio.to_thread(counting.started.wait, 5)
    counting.gate.set()
    front.close()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)


async def test_a_long_text_is_encoded_but_not_remembered(front: BatchedEncoder, counting: Counting) -> None:
    text = "x" * 5_000
    await front.encode([text])
    await front.encode([text])
    assert len(counting.batches) == 2
