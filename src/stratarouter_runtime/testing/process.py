"""A simulated process: the production runtime, of which nothing but the ports is replaced.

It can be asked from outside, and killed between any two callbacks. Must never know: who
asks, or why it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.batch.coalescer import Coalescer
from stratarouter_runtime.cache.policy import Defaults
from stratarouter_runtime.cache.recall import Cache
from stratarouter_runtime.executor.snapshots import Snapshotting
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.observability.fanout import Fanout
from stratarouter_runtime.ports import Clock, Embedder, Execution, Observer
from stratarouter_runtime.runtime import Runtime
from stratarouter_runtime.services.reuse import Reuse
from stratarouter_runtime.state.events import Answered, Event, Failed, Record, Returned, Scored, TimerFired
from stratarouter_runtime.testing.faults import FaultyStore
from stratarouter_runtime.testing.loop import Life
from stratarouter_runtime.testing.world import SimulatedClock, SimulatedEntropy, SimulatedScorer, World

T = TypeVar("T")

FACTS: Final = (Returned, Failed, Scored, Answered, TimerFired)
"""What may be delivered twice."""

ROOM: Final = 1 << 20
"""Bytes that a process holds of known answers in memory."""


class Gone(Exception):
    """The process that was asked ended before it answered."""


class Process(Observer):
    """One process: a runtime over the common store, which ends by `kill`."""

    def __init__(
        self,
        number: int,
        world: World,
        store: FaultyStore,
        registry: Registry,
        twice: float = 0.0,
        *,
        reuses: bool = False,
    ) -> None:
        """`twice` is the share of facts that are delivered a second time."""
        self.life = Life()
        self.was_stopped = False
        self.store = store
        self.clock = SimulatedClock(world.loop)
        self._world = world
        self._twice = twice
        self._asked: dict[asyncio.Future[Any], None] = {}
        self.runtime = Runtime(
            store=self.store,
            registry=registry,
            scorer=SimulatedScorer(world),
            observers=Fanout(self),
            clock=self.clock,
            entropy=SimulatedEntropy(world.chance),
            snapshotting=Snapshotting(records=4, seconds=0.02),
            reuse=_reuse(store, self.clock) if reuses else None,
        )
        self.number = number

    async def ask(self, work: Coroutine[Any, Any, T], patience: float | None = None) -> T:
        """Have the process do something for somebody outside, who leaves after `patience` seconds.

        Raises `Gone`, or as the work does.
        """
        if self.life.ended:
            work.close()
            raise Gone
        loop = self._world.loop
        reply: asyncio.Future[T] = loop.create_future()
        task = loop.create_task(work, context=self.life.context.copy())
        task.add_done_callback(lambda done: _forward(done, reply))
        if patience is not None:
            loop.call_later(patience, task.cancel)
        self._asked[reply] = None
        try:
            return await reply
        finally:
            del self._asked[reply]

    def kill(self) -> None:
        """End it between two callbacks: no line of it runs any more."""
        if not self.life.ended:
            self.life.ended = True
            self.store.crash()
            for reply in self._asked:
                if not reply.done():
                    reply.set_exception(Gone())

    def stop(self) -> None:
        """Stop it between two callbacks: nothing of it runs until it goes on."""
        self.was_stopped = True
        if self.life.due is None:
            self.life.due = []

    def go_on(self) -> None:
        """Let it go on, as if no time had passed for it."""
        self._world.loop.go_on(self.life)

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        """Deliver some facts a second time."""
        draw = self._world.chance.random
        for event in events:
            if self._twice and isinstance(event, FACTS) and draw() < self._twice:
                self._world.loop.call_later(draw() * 0.02, self._again, execution.id, event)

    def _again(self, execution: ExecutionId, event: Event) -> None:
        found = self.runtime.driver._drives.get(execution)  # noqa: SLF001 - no port delivers an answer twice
        if found is not None:
            found[0].report(event)


def _reuse(store: FaultyStore, clock: Clock) -> Reuse:
    return Reuse(Cache(store.cache, NoEmbedder(), clock, room=ROOM), Coalescer(), clock, Defaults())


class NoEmbedder(Embedder):
    """Nothing in these stories matches by meaning."""

    @property
    @override
    def identity(self) -> str:
        return ""

    @override
    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        raise AssertionError("only the very same is equal here")


def _forward(done: asyncio.Task[T], reply: asyncio.Future[T]) -> None:
    if reply.done():
        done.cancelled() or done.exception()
    elif done.cancelled():
        reply.set_exception(Gone())
    elif (error := done.exception()) is not None:
        reply.set_exception(error)
    else:
        reply.set_result(done.result())
