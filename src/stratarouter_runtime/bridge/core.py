"""StrataRouter-Core in this process, behind a circuit breaker: what it decides, or why it did not.

Core never refuses, takes any numbers for a vector, and breaks ties at random; so it is asked only
what has one answer, and what it answers is checked. Must never know: what becomes of a decision.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime import breaker
from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.lru import Lru
from stratarouter_runtime.ports import Clock, Core, CoreTable
from stratarouter_runtime.routing.choose import PLACES
from stratarouter_runtime.state.events import Given

PATIENCE: Final = 0.25
"""Seconds that an answer is waited for; Core takes less than a millisecond when all is well."""
_TABLES: Final = 16
_PACKAGE: Final = "stratarouter"

Rows: TypeAlias = npt.NDArray[np.float32]
"""The vectors of a table, one row a route."""


class Engine(Protocol):
    """The compiled router of Core, as far as it is used."""

    def route(self, text: str, embedding: Sequence[float]) -> Any:
        """One route, always."""
        ...


class Opening(Protocol):
    """Makes an engine of a table."""

    def __call__(self, table: CoreTable, /) -> Engine:
        """The engine; raises what Core raises."""
        ...


class CoreStats(Struct, frozen=True):
    """How often Core was asked, by what came of it, and how often the breaker has opened."""

    outcomes: Mapping[str, int]
    state: str
    opened: int


def check_installed() -> None:
    """Raise `InvalidSetting` where Core is to be asked and is not installed."""
    if find_spec(_PACKAGE) is None:
        raise InvalidSetting(
            "routing.core is set, and the package 'stratarouter' is not installed",
            hint="pip install 'stratarouter-runtime[core]', or leave routing.core out",
        )


def open_engine(table: CoreTable) -> Engine:
    """Core's compiled router, driven directly: one vector a route, in the order they were added."""
    core = import_module(f"{_PACKAGE}._core")
    engine = core.PyRouter(dimension=len(table.centroids[0]) // 4, threshold=0.0)
    for name in table.names:
        route = core.PyRoute(name)
        route.description = name  # it refuses a route that says nothing of itself
        engine.add_route(route)
    engine.build_index([np.frombuffer(vector, "<f4").tolist() for vector in table.centroids])
    router: Engine = engine
    return router


class GuardedCore(Core):
    """Belongs to one event loop. `close` it when done."""

    def __init__(
        self,
        clock: Clock,
        *,
        opening: Opening = open_engine,
        patience: float = PATIENCE,
        policy: breaker.Policy = breaker.Policy(),  # noqa: B008 - frozen
    ) -> None:
        self._clock = clock
        self._opening = opening
        self._patience = patience
        self._policy = policy
        self._breaker = breaker.CLOSED
        self._engines: Lru[str, Engine] = Lru(_TABLES)
        """Of the thread alone; `_rows` are of the loop."""
        self._rows: Lru[str, Rows] = Lru(_TABLES)
        self._outcomes: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="core")

    @override
    async def decide(self, table: CoreTable, query: str, vector: bytes) -> Given | str:
        reason = _undecidable(self._rows_of(table), vector)
        if reason is None:
            self._breaker, open_ = breaker.ask(self._breaker, self._clock.now())
            found = await self._ask(table, query, vector) if open_ else "is left alone, as it kept failing"
        else:
            found = reason
        self._outcomes["decided" if isinstance(found, Given) else found] += 1
        return found

    def _rows_of(self, table: CoreTable) -> Rows:
        found = self._rows.get(table.digest)
        return self._rows.put(table.digest, _rows(table)) if found is None else found

    def stats(self) -> CoreStats:
        """What came of asking, so far."""
        return CoreStats(dict(self._outcomes), self._breaker.state, self._breaker.opened)

    def close(self) -> None:
        """Let go of the thread; an answer that is still awaited is not."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, table: CoreTable, query: str, vector: bytes) -> Given | str:
        loop = asyncio.get_running_loop()
        try:
            asked = loop.run_in_executor(self._thread, self._route, table, query, vector)
            found = read_answer(await asyncio.wait_for(asked, self._patience), table.names)
        except TimeoutError:
            return self._failed("took too long")
        except asyncio.CancelledError:
            self._breaker = breaker.drop(self._breaker, self._clock.now())
            raise
        except Exception:  # noqa: BLE001 - whatever Core raises, the runtime decides by itself
            return self._failed("failed")
        if isinstance(found, str):
            return self._failed(found)
        self._breaker = breaker.succeed(self._breaker)
        return found

    def _failed(self, reason: str) -> str:
        self._breaker = breaker.fail(self._breaker, self._policy, self._clock.now())
        return reason

    def _route(self, table: CoreTable, query: str, vector: bytes) -> Any:
        engine = self._engines.get(table.digest)
        if engine is None:
            engine = self._engines.put(table.digest, self._opening(table))
        return engine.route(query, np.frombuffer(vector, "<f4").tolist())


def read_answer(answer: Any, names: Sequence[str]) -> Given | str:
    """A decision of Core, from its `RouteResult`, its `RouteChoice` or a mapping; or what is wrong with it."""
    route = _field(answer, "route_id", "name")
    if not isinstance(route, str) or not route:
        return "chose no route"
    if route not in names:
        return "named a route that is not known"
    confidence = _field(answer, "confidence", "score")
    if not _is_number(confidence):
        return "gave a confidence that is no number"
    scores, latency = _field(answer, "scores"), _field(answer, "latency_ms")
    kept = {str(name): float(score) for name, score in _items(scores) if _is_number(score)}
    return Given(route, float(confidence), kept, float(latency) if _is_number(latency) else 0.0)


def _field(answer: Any, *names: str) -> Any:
    for name in names:
        found = answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None)
        if found is not None:
            return found
    return None


def _items(scores: Any) -> list[tuple[Any, Any]]:
    return list(scores.items()) if isinstance(scores, Mapping) else []


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _rows(table: CoreTable) -> Rows:
    return np.frombuffer(b"".join(table.centroids), "<f4").reshape(len(table.centroids), -1)


def _undecidable(rows: Rows, vector: bytes) -> str | None:
    """Why Core must not be asked: it would take this for an answerable question, and answer at random."""
    asked = np.frombuffer(vector, "<f4")
    if not np.isfinite(asked).all() or not asked.any():
        return "is not asked about a text without a vector"
    if rows.shape[1] != len(asked):
        return "is not asked about vectors of another length"
    if len(rows) == 1:
        return None
    # Row by row, as the table itself: the last bits of a matrix product depend on how many threads there are.
    second, first = np.partition(np.vecdot(rows, asked).round(PLACES), -2)[-2:]
    return "finds two routes alike" if first == second else None
