"""The points at which a process is killed: around every kind of write, in a call, while it waits, while it undoes.

Must never know: shapes, or what must be true.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct

from stratarouter_runtime.ports import ENDED

if TYPE_CHECKING:
    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Execution, Store
    from stratarouter_runtime.state.events import Record

T = TypeVar("T")

WRITES: Final = ("plan", "start", "fact", "snapshot", "end")
"""Kinds of writes."""

POINTS: Final = (
    *(f"{when} the {kind} is written" for kind in WRITES for when in ("before", "after")),
    "in a call",
    "while it waits",
    "while it undoes",
)
"""`after` is when it is durable, and nobody has been told."""

QUIET: Final = 0.03
"""Seconds without a write or a call after which an execution waits."""


class Kill(Struct, frozen=True):
    """At which point, the how manieth time it is passed, from 0 on."""

    point: str
    at: int


class Trigger:
    """Kills this process where it passes the point for the time that was agreed."""

    def __init__(self, kill: Kill | None) -> None:
        self._kill = kill
        self._passed = 0
        self._last = time.monotonic()
        self._waits = False

    def passes(self, point: str) -> None:
        """This process is at a point."""
        if self._kill is None or point != self._kill.point:
            return
        if self._passed == self._kill.at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._passed += 1

    def heard(self, agent: str) -> None:
        """A call has come, and had its effect."""
        self.stirs()
        self.passes("in a call")
        if agent == "drop":
            self.passes("while it undoes")

    def stirs(self) -> None:
        """Something happens."""
        self._last, self._waits = time.monotonic(), False

    async def watch(self) -> None:
        """Notice when nothing happens."""
        while True:
            await asyncio.sleep(QUIET / 6)
            if not self._waits and time.monotonic() > self._last + QUIET:
                self._waits = True
                self.passes("while it waits")

    async def around(self, kind: str, work: Awaitable[T]) -> T:
        """Pass the points around a write."""
        self.stirs()
        self.passes(f"before the {kind} is written")
        result = await work
        self.passes(f"after the {kind} is written")
        self.stirs()
        return result


class _Watched:
    """Another object, some of whose methods are watched."""

    def __init__(self, inner: object, trigger: Trigger) -> None:
        self._inner = inner
        self._trigger = trigger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class WatchedStore(_Watched):
    """A store whose writes of executions pass the points."""

    def __init__(self, store: Store, trigger: Trigger) -> None:
        super().__init__(store, trigger)
        self._store = store
        self.snapshots = _WatchedSnapshots(store.snapshots, trigger)

    async def keep_plan(self, *given: Any) -> None:
        """As the store's own."""
        await self._trigger.around("plan", self._store.keep_plan(*given))

    async def create(self, *given: Any) -> bool:
        """As the store's own."""
        return await self._trigger.around("start", self._store.create(*given))

    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        *given: Any,
    ) -> None:
        """As the store's own; the last one of an execution is its end."""
        kind = "end" if status is not None and status.status in ENDED else "fact"
        await self._trigger.around(kind, self._store.append(execution, records, status, *given))


class _WatchedSnapshots(_Watched):
    async def save(self, *given: Any) -> None:
        save: Callable[..., Awaitable[None]] = self._inner.save  # type: ignore[attr-defined]  # a port
        await self._trigger.around("snapshot", save(*given))
