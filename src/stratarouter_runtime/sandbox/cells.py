"""Cells: calls in warm workers behind walls, as far as the governor lets them.

A worker is used again only by the same tenant and the same version of the agent, and is retired
after so many calls, when it has grown, or when anything went wrong. Must never know: what the
code means, or which flow calls it.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.ports import AgentReply, Cells
from stratarouter_runtime.sandbox import features
from stratarouter_runtime.sandbox.enclosing import START_SECONDS, held, walls_of
from stratarouter_runtime.sandbox.governor.gate import Governor, GovernorStats, Refused
from stratarouter_runtime.sandbox.governor.shares import Room
from stratarouter_runtime.sandbox.replies import answered, refused
from stratarouter_runtime.sandbox.walls import Feature
from stratarouter_runtime.sandbox.wire import Ask, Tell
from stratarouter_runtime.sandbox.worker import Bounds, Worker
from stratarouter_runtime.sandbox.zygotes import Zygotes
from stratarouter_runtime.state.events import Failure, Usage

if TYPE_CHECKING:
    from stratarouter_runtime.ports import AgentCall, Cell, Clock, Isolation

_Key: TypeAlias = tuple[str, str]

IDLE_MOST: Final = 32
"""Idle workers that are kept; the one longest idle goes first."""
ROUND: Final = 1.0
"""Seconds between two looks at idle workers."""
RESTLESS: Final = 0.1
"""CPU seconds that an idle worker may use in all: getting ready for the next call, and no more."""
STALE: Final = 300
"""Rounds after which an idle worker is let go."""
GROWN: Final = 0.75
"""A worker whose memory has reached this share of its limit is not used again."""
_CPUS: Final = len(os.sched_getaffinity(0))


class CellStats(Struct, frozen=True):
    """Counters since the start, and how many workers there are now."""

    workers: int
    idle: int
    started: int
    retired: int
    calls: int
    failures: dict[str, int]
    governor: GovernorStats


class _Housed(Struct, eq=False):
    """A worker with what it holds of the machine."""

    worker: Worker
    key: _Key
    room: Room
    cell: Cell
    rounds: int = 0
    """How often it has been found idle since."""


class BoxedCells(Cells):
    """Belongs to one event loop. `room` is what calls share, `waived` names features that may be missing."""

    def __init__(self, clock: Clock, room: Room, *, waived: frozenset[Feature] = frozenset()) -> None:
        self._clock = clock
        self._waived = waived
        self._governor = Governor(room, reclaim=self._reclaim)
        self._zygotes = Zygotes()
        self._idle: dict[_Key, list[_Housed]] = {}
        self._age: OrderedDict[int, _Housed] = OrderedDict()
        self._living: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self._numbers = count(1)
        self._leaving = 0
        """Bytes held by workers that are being ended."""
        self._levels: dict[Isolation, tuple[tuple[Feature, ...], str]] = {}
        self._workers = self._started = self._retired = self._calls = 0
        self._failures: dict[str, int] = {}

    @override
    def admit(self, name: str, cell: Cell) -> None:
        features.require(name, cell.level, self._waived)

    @override
    async def prepare(self) -> None:
        await asyncio.to_thread(features.found)

    @override
    async def call(self, cell: Cell, call: AgentCall) -> AgentReply:
        missing, level = self._in_force(cell.level)
        self._calls += 1
        reply = await self._reply(cell, call, missing)
        if reply.failure is not None:
            kind = reply.failure.kind
            self._failures[kind] = self._failures.get(kind, 0) + 1
        return replace(reply, isolation=level)

    @override
    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for housed in list(self._age.values()):
            self._evict(housed)
        if self._living:
            await asyncio.wait(list(self._living), timeout=2)
        await self._zygotes.close()

    def _in_force(self, level: Isolation) -> tuple[tuple[Feature, ...], str]:
        """What this level lacks here, and what it is called for that."""
        found = self._levels.get(level)
        if found is None:
            missing = features.without(level, self._waived)
            said = f"{level} without {', '.join(missing)}" if missing else level
            found = self._levels[level] = missing, said
        return found

    def stats(self) -> CellStats:
        """What metrics show."""
        return CellStats(
            workers=self._workers,
            idle=len(self._age),
            started=self._started,
            retired=self._retired,
            calls=self._calls,
            failures=dict(self._failures),
            governor=self._governor.stats(),
        )

    async def _reply(self, cell: Cell, call: AgentCall, missing: tuple[Feature, ...]) -> AgentReply:
        cpu = round(cell.cpu * 1000)
        try:
            housed = await self._room_for(cell, call, cpu)
        except Refused as error:
            return AgentReply(failure=refused(error))
        try:
            return await self._in_room(cell, call, missing, housed)
        finally:
            self._governor.give_back(Room(cpu, 0))

    async def _room_for(self, cell: Cell, call: AgentCall, cpu: int) -> _Housed | None:
        """A worker that is there, or None where memory for a new one is reserved; CPU is in both cases.

        Who waits holds nothing meanwhile, no idle worker either: its memory may be what others wait for.
        Raises `Refused`.
        """
        loop = asyncio.get_running_loop()
        key, until = (call.tenant, cell.digest), loop.time() + self._seconds(cell, call)
        while True:
            memory = 0 if key in self._idle else held(cell)
            left = max(0.0, until - loop.time())
            await self._governor.reserve(call.tenant, Room(cpu, memory), seconds=left, patience=left)
            housed = self._take(key)
            if housed is not None:
                self._governor.give_back(Room(0, memory))
                return housed
            if memory:
                return None
            # The worker that was there has been let go, or was faster taken by another call.
            self._governor.give_back(Room(cpu, 0))

    async def _in_room(
        self, cell: Cell, call: AgentCall, missing: tuple[Feature, ...], housed: _Housed | None
    ) -> AgentReply:
        """The call, in this worker or a new one, whose memory is reserved already."""
        began = self._clock.now()
        if housed is None:
            made = await self._make(cell, call.tenant, missing)
            if isinstance(made, Failure):
                return AgentReply(failure=made)
            housed = made
        try:
            await call.confirm()
        except BaseException:
            self._keep(housed)
            raise
        worker = housed.worker
        bounds = Bounds(self._seconds(cell, call), cell.cpu_seconds, cell.output)
        ask = Ask(next(self._numbers), call.input, call.seed, call.key, call.attempt, bounds.time)
        told: Tell | Failure | None = None
        try:
            told = await worker.call(ask, bounds)
        finally:
            # What it took to get ready for this call is counted with it.
            seconds = worker.look()
            self._after(housed, told)
        milliseconds = (self._clock.now() - began) / 1000
        cpu, memory = worker.taken(seconds, milliseconds / 1_000 * _CPUS)
        usage = Usage(ms=milliseconds, cpu_ms=round(cpu * 1_000, 3), memory_kib=memory)
        if isinstance(told, Failure):
            return AgentReply(failure=told, usage=usage)
        return answered(told, usage, cell.output)

    async def _make(self, cell: Cell, tenant: str, missing: tuple[Feature, ...]) -> _Housed | Failure:
        room = Room(0, held(cell))
        try:
            process = await self._zygotes.worker(cell.program, walls_of(cell, missing))
        except (OSError, TimeoutError) as error:
            self._governor.give_back(room)
            return Failure("agent.unavailable", f"no worker can be started: {error}")
        except BaseException:
            self._governor.give_back(room)
            raise
        housed = _Housed(Worker(process), (tenant, cell.digest), room, cell)
        self._workers += 1
        self._started += 1
        failure: Failure | None = None
        ready = False
        try:
            bounds = Bounds(START_SECONDS, START_SECONDS, 65_536)
            failure = await housed.worker.start(cell.setup, bounds)
            ready = failure is None
        finally:
            if not ready:
                self._retire(housed)
        return housed if failure is None else failure

    def _after(self, housed: _Housed, told: Tell | Failure | None) -> None:
        """Keep the worker for the next call of its tenant and version, or let it go."""
        worker = housed.worker
        spent = worker.calls >= housed.cell.calls or worker.rss * 1024 > housed.cell.memory * GROWN
        if worker.over or spent or not isinstance(told, Tell) or told.spent:
            self._retire(housed)
        else:
            self._keep(housed)

    def _take(self, key: _Key) -> _Housed | None:
        idle = self._idle.get(key)
        while idle:
            housed = idle.pop()
            if not idle:
                del self._idle[key]
            del self._age[id(housed)]
            if not housed.worker.over:
                return housed
            self._retire(housed)
        return None

    def _keep(self, housed: _Housed) -> None:
        housed.rounds = 0
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(ROUND, self._look)
        self._idle.setdefault(housed.key, []).append(housed)
        self._age[id(housed)] = housed
        if len(self._age) > IDLE_MOST:
            self._evict(next(iter(self._age.values())))

    def _evict(self, housed: _Housed) -> None:
        """Let go of an idle worker."""
        self._forget(housed)
        self._retire(housed)

    def _look(self) -> None:
        """Let go of idle workers that have ended, that compute outside any call, or that nobody calls."""
        for housed in list(self._age.values()):
            housed.rounds += 1
            restless = housed.cell.level != "process" and housed.worker.rested() > RESTLESS
            if restless or housed.worker.over or housed.rounds > STALE:
                self._evict(housed)
        again = asyncio.get_running_loop().call_later(ROUND, self._look) if self._age else None
        self._looking = again

    def _forget(self, housed: _Housed) -> None:
        del self._age[id(housed)]
        idle = self._idle[housed.key]
        idle.remove(housed)
        if not idle:
            del self._idle[housed.key]

    def _retire(self, housed: _Housed) -> None:
        """End a worker, and see to it that what it held is free once it is gone."""
        self._retired += 1
        self._workers -= 1
        self._leaving += housed.room.memory
        if not housed.worker.over:
            housed.worker.kill("closing")
        task = asyncio.get_running_loop().create_task(self._bury(housed))
        self._living.add(task)
        task.add_done_callback(self._living.discard)

    async def _bury(self, housed: _Housed) -> None:
        await housed.worker.gone()
        housed.worker.close()
        self._leaving -= housed.room.memory
        self._governor.give_back(housed.room)

    def _reclaim(self, wanted: int) -> None:
        """Let go of idle workers, the one longest idle first, where together they hold what is wanted."""
        short = wanted - self._leaving
        if short > sum(housed.room.memory for housed in self._age.values()):
            return
        for housed in list(self._age.values()):
            if short <= 0:
                return
            self._evict(housed)
            short -= housed.room.memory

    def _seconds(self, cell: Cell, call: AgentCall) -> float:
        """What is left to a call: its own limit, or less where its caller gives up before."""
        if call.deadline is None:
            return cell.seconds
        # The caller's own timer decides, and this one is for when it does not.
        return max(0.001, min(cell.seconds, (call.deadline - self._clock.now()) / 1e6 + 0.05))
