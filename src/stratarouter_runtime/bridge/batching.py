"""An encoder for many askers at once: remembers texts, and encodes together what waits together.

One worker thread computes; whatever is asked for meanwhile forms the next batch, so load
makes batches larger and never needs a timer. Must never know: which encoder it fronts.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from stratarouter_runtime.bridge.encoder import Encoder, Vectors
from stratarouter_runtime.bridge.lazy import Closing
from stratarouter_runtime.ports import Embedder

_LONGEST_REMEMBERED: Final = 4_096
"""Characters: longer texts seldom come twice, and as keys would hold much memory."""

Vector = npt.NDArray[np.float32]


class BatchedEncoder(Embedder):
    """Belongs to one event loop. `close` it when done.

    `remember` is how many texts are kept (least recently used leave first); `batch` how many
    are encoded at once, which bounds how long a lone text waits behind others.
    """

    def __init__(self, encoder: Encoder, *, remember: int = 4_096, batch: int = 32) -> None:
        self.encoder = encoder
        self._remember = remember
        self._batch = batch
        self._known: OrderedDict[str, Vector] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[Vector]] = {}
        self._running: dict[str, asyncio.Future[Vector]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")

    @property
    @override
    def identity(self) -> str:
        return self.encoder.identity

    @override
    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        return tuple(vector.astype("<f4").tobytes() for vector in await self.encode(texts))

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors of these texts, one row each, in order.

        Raises what the encoder raises; nothing is remembered then, so asking again tries again.
        """
        found = [self._find(text) for text in texts]
        vectors = [
            await asyncio.shield(vector) if isinstance(vector, asyncio.Future) else vector for vector in found
        ]
        return np.stack(vectors) if vectors else np.zeros((0, self.encoder.dimension), dtype=np.float32)

    def close(self) -> None:
        """Let go of the thread; a batch under way is finished, what waits is given up."""
        if self._worker is not None:
            self._worker.cancel()
        for future in self._waiting.values():
            future.cancel()
        self._thread.shutdown(wait=True, cancel_futures=True)
        if isinstance(self.encoder, Closing):
            self.encoder.close()

    def _find(self, text: str) -> Vector | asyncio.Future[Vector]:
        vector = self._known.get(text)
        if vector is not None:
            self._known.move_to_end(text)
            return vector
        asked = self._running.get(text) or self._waiting.get(text)
        return self._ask(text) if asked is None else asked

    def _ask(self, text: str) -> asyncio.Future[Vector]:
        future = asyncio.get_running_loop().create_future()
        self._waiting[text] = future
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())
        return future

    async def _work(self) -> None:
        while self._waiting:
            texts = list(self._waiting)[: self._batch]
            self._running = {text: self._waiting.pop(text) for text in texts}
            try:
                await self._encode(texts)
            finally:
                self._give_up()

    async def _encode(self, texts: list[str]) -> None:
        loop = asyncio.get_running_loop()
        try:
            vectors = await loop.run_in_executor(self._thread, self.encoder.encode, texts)
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to those who asked
            self._refuse(error)
            return
        for text, vector in zip(texts, vectors, strict=True):
            self._running.pop(text).set_result(vector)
            self._keep(text, vector)

    def _refuse(self, error: Exception) -> None:
        for future in self._running.values():
            future.set_exception(error)
            future.exception()  # marked as seen: the asker may have left

    def _give_up(self) -> None:
        for future in self._running.values():
            future.cancel()
        self._running = {}

    def _keep(self, text: str, vector: Vector) -> None:
        if len(text) > _LONGEST_REMEMBERED:
            return
        self._known[text] = vector
        if len(self._known) > self._remember:
            self._known.popitem(last=False)
