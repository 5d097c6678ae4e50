"""How long a routing decision takes, what it adds to the encoder, and what a table costs to keep and to fit.

The tables are made up, by a seed: as many routes as wanted, each with words and a direction of its own.
Must never know: what the figures are compared with elsewhere.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.bridge.batching import BatchedEncoder
from stratarouter_runtime.bridge.encoder import Encoder, Vectors
from stratarouter_runtime.bridge.scorer import CosineScorer
from stratarouter_runtime.ids import LOCAL, AgentName
from stratarouter_runtime.ports import Asked, Embedder, Shelf
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.routing.decisions import Router
from stratarouter_runtime.routing.head import train
from stratarouter_runtime.routing.tables import Route, Table
from stratarouter_runtime.services.routers import AGENTS, Routers
from stratarouter_runtime.settings import load
from stratarouter_runtime.system import SystemClock
from stratarouter_runtime.tally import quantile
from stratarouter_runtime.wiring import application

ENCODER: Final = "made up"
UTTERANCES: Final = 10
_SEED: Final = 7
_DIMENSION: Final = 384
_QUERIES: Final = 2_000
_ROUNDS: Final = 5
_NONE: Final = 50
_ADDED: Final = 300


def made_up(routes: int, utterances: int = UTTERANCES) -> tuple[Table, Vectors, Vectors]:
    """A table, the vectors of its examples, and those of what belongs to none."""
    chance = np.random.default_rng(_SEED)
    words = [f"word{number}" for number in range(3_000)]
    written = []
    for number in range(routes):
        own = chance.choice(3_000, 12, replace=False)
        texts = [
            " ".join(words[one] for one in (*chance.choice(own, 5), *chance.integers(0, 60, 4)))
            for _ in range(utterances)
        ]
        written.append(Route(f"route-{number:04}", tuple(f"{text} {number}" for text in texts)))
    none = tuple(
        f"{row} " + " ".join(words[one] for one in chance.integers(0, 3_000, 8)) for row in range(_NONE)
    )
    table = Table(AGENTS, tuple(written), none)
    owner = fitting.examples(table).owner
    spread = 0.8 * chance.standard_normal((routes, _DIMENSION))[owner]
    spread += chance.standard_normal((len(owner), _DIMENSION))
    return table, _unit(spread), _unit(chance.standard_normal((_NONE, _DIMENSION)))


async def deciding(encoder: Encoder) -> list[Measure]:
    """Every figure, each beside its limit."""
    small, _ = _fitted(150)
    large, fit = _fitted(1_000)
    return [
        *_decisions(small, 150, 150.0),
        *_decisions(large, 1_000, 400.0),
        await _added(encoder),
        fit,
        _held(large),
    ]


def _fitted(routes: int) -> tuple[fitting.Fitted, Measure]:
    table, vectors, none = made_up(routes)
    began = perf_counter()
    train(vectors, fitting.examples(table).owner, routes)
    once = perf_counter() - began
    began = perf_counter()
    fitted = fitting.fit(table, vectors, none, ENCODER)
    took = perf_counter() - began
    name = f"fit {routes:,} routes x {UTTERANCES}, vectors given"
    return fitted, Measure(name, took, "s", 60.0, "less", once, "training its head once")


def _decisions(fitted: fitting.Fitted, routes: int, target: float) -> list[Measure]:
    """The 50th and the 99th of a hundred queries, each at its best of some rounds: noise only ever adds."""
    router = Router(fitted, fitting.digest_of(fitting.encode(fitted)))
    texts = fitting.examples(fitted.table).texts
    rows = np.frombuffer(fitted.vectors, "<f2").reshape(len(texts), -1).astype(np.float32)
    asked = [row * len(texts) // _QUERIES for row in range(_QUERIES)]
    queries = [(f"{texts[row]} please", rows[row].tobytes()) for row in asked]
    ours = _best([partial(router.decide, text, vector, ENCODER) for text, vector in queries])
    plain = _best([partial(_nearest, rows, row) for row in asked])
    name = f"decision, {routes:,} routes x {UTTERANCES}, vector given"
    return [
        Measure(
            f"{name}, p{share:.0%}".removesuffix("%"),
            quantile(ours, share) * 1e6,
            "µs",
            target,
            "less",
            quantile(plain, share) * 1e6,
            "nearest by one matrix product",
        )
        for share in (0.5, 0.99)
    ]


def _nearest(rows: Vectors, asked: int) -> int:
    return int((rows @ rows[asked]).argmax())


def _best(calls: Sequence[Callable[[], object]]) -> list[float]:
    best = np.full(len(calls), np.inf)
    for _ in range(_ROUNDS):
        for row, call in enumerate(calls):
            began = perf_counter()
            call()
            best[row] = min(best[row], perf_counter() - began)
    found: list[float] = best.tolist()
    return found


class _Timed(Embedder):
    """Knows how long the embedder behind it took."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.seconds = 0.0

    @property
    @override
    def identity(self) -> str:
        return self._embedder.identity

    @override
    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        began = perf_counter()
        found = await self._embedder.embed(texts)
        self.seconds += perf_counter() - began
        return found


async def _added(encoder: Encoder) -> Measure:
    """What a flow waits for beside the encoder: rules, the table, the decision; texts are all new."""
    front = BatchedEncoder(encoder)
    async with application(load(), Registry([]), store=":memory:") as app:
        found = await _asked(app.store.shelf, front)
    front.close()
    return found


async def _asked(shelf: Shelf, front: BatchedEncoder) -> Measure:
    timed = _Timed(front)
    routers = Routers(shelf, CosineScorer(front), timed, SystemClock())
    table, _, _ = made_up(20)
    await routers.tables.add(LOCAL, await routers.tables.fit(table), promote=True)
    pin = f"{front.identity}{await routers.pin(LOCAL)}"
    candidates = tuple((AgentName(route.name), route.name) for route in table.routes)
    added, embedding = [], []
    for number in range(_ADDED):
        asked = Asked(
            LOCAL, f"query {number} about {table.routes[number % 20].utterances[0]}", candidates, pin
        )
        timed.seconds, began = 0.0, perf_counter()
        await routers.compare(asked)
        added.append(perf_counter() - began - timed.seconds)
        embedding.append(timed.seconds)
    name = "routing beside the encoder, new texts, p50"
    value, limit = quantile(added, 0.5) * 1e3, quantile(embedding, 0.5) * 1e3
    return Measure(name, value, "ms", 0.3, "less", limit, "the encoder itself")


def _held(fitted: fitting.Fitted) -> Measure:
    """In a process of its own, so that nothing else is counted."""
    with TemporaryDirectory(prefix="strata-bench-") as folder:
        path = Path(folder) / "table"
        path.write_bytes(fitting.encode(fitted))
        command = [sys.executable, "-m", "stratarouter_runtime.bench.holding", str(path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ourselves
    alone = len(fitted.vectors) * 2 / 2**20
    name = f"memory of 1,000 routes x {UTTERANCES}"
    return Measure(name, float(told), "MiB", 64.0, "less", alone, "the vectors alone")


def _unit(rows: npt.NDArray[np.float64]) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
