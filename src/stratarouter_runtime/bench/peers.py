"""The same queries, put to other routers on the same vectors: to those that are installed.

Must never know: how the runtime decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import Struct

from stratarouter_runtime.bench.routing import Data, Encoded, clinc, sample
from stratarouter_runtime.bridge.core import open_engine, read_answer
from stratarouter_runtime.ports import CoreTable
from stratarouter_runtime.routing import fitting
from stratarouter_runtime.state.events import Given
from stratarouter_runtime.tally import quantile

Ask: TypeAlias = Callable[[str], str | None]
"""The route of a text, its vector known already; None for none."""


class Peer(Struct, frozen=True):
    """The share that another router routes right, and what one of its decisions takes, in milliseconds."""

    name: str
    data: str
    right: float
    p50_ms: float
    p99_ms: float


def peers(data: Data, encoded: Encoded) -> list[Peer]:
    """Every peer that is installed, asked all that belongs to a route."""
    encoded.vectors([text for text, _ in data.held])
    return [_asked(name, ask, data) for name, ask in _opened(data, encoded)]


def _opened(data: Data, encoded: Encoded) -> Iterator[tuple[str, Ask]]:
    for package, opening in _PEERS.items():
        if find_spec(package.replace("-", "_")) is not None:
            yield f"{package} {version(package)}", opening(data, encoded)


def _asked(name: str, ask: Ask, data: Data) -> Peer:
    times: list[float] = []
    hits = 0
    for text, route in data.held:
        began = perf_counter()
        hits += ask(text) == route
        times.append((perf_counter() - began) * 1e3)
    return Peer(name, data.name, hits / len(data.held), quantile(times, 0.5), quantile(times, 0.99))


def _core(data: Data, encoded: Encoded) -> Ask:
    """StrataRouter-Core's compiled router, given the direction of each route."""
    known = fitting.examples(data.table)
    sums = np.zeros((len(known.routes), encoded.encoder.dimension), dtype=np.float32)
    np.add.at(sums, known.owner, encoded.vectors(known.texts))
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    engine = open_engine(CoreTable("peer", known.routes, tuple(row.tobytes() for row in sums)))

    def ask(text: str) -> str | None:
        found = read_answer(engine.route(text, encoded.vectors([text])[0].tolist()), known.routes)
        return found.route_id if isinstance(found, Given) else None

    return ask


def _semantic_router(data: Data, encoded: Encoded) -> Ask:
    """semantic-router as it comes, but that it accepts everything."""
    package: Any = import_module("semantic_router")
    known = fitting.examples(data.table)
    texts: dict[str, list[str]] = defaultdict(list)
    for text, owner in zip(known.texts, known.owner.tolist(), strict=True):
        texts[known.routes[owner]].append(text)
    routes = [package.Route(name=name, utterances=of) for name, of in texts.items()]

    def encode(asked: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = encoded.vectors(asked).tolist()
        return vectors

    router: Any = package.IndexedRouter(encode, routes)

    def ask(text: str) -> str | None:
        name: str | None = getattr(router(text, threshold=0.0), "name", None)
        return name

    return ask


_PEERS: Final[dict[str, Callable[[Data, Encoded], Ask]]] = {
    "stratarouter": _core,
    "semantic-router": _semantic_router,
}


def measure(encoded: Encoded, folder: Path | None) -> list[Peer]:
    """Every peer on ten examples a route of CLINC150, where `folder` has it; else on the shipped sample."""
    public = None if folder is None else folder / "clinc150"
    data = sample() if public is None or not public.is_dir() else clinc(public, 10)
    return peers(data, encoded)
