"""A store in bad weather: writes take time, fail, are kept although reported lost, or are lost in a crash.

Around another store, which is what has been synced. Must never know: what is kept, or why
the weather changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from random import Random  # noqa: TID251 - seeded by the caller: the same draws every time
from typing import Any, TypeVar, cast

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.errors import Conflict, StoreError, StoreFull, StoreUnavailable
from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import Audit, CacheStore, Deployed, Execution, Quotas, Shelf, Status, Store
from stratarouter_runtime.sharing import NOBODY, Lease
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.testing.faulty_cache import FaultyCache
from stratarouter_runtime.testing.faulty_sharing import FaultyLeases, FaultyMail
from stratarouter_runtime.testing.faulty_snapshots import FaultySnapshots

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]
Finish = Callable[[Coroutine[Any, Any, Any]], Any]


class Weather(Struct):
    """What the disk does at the moment. Times in microseconds, chances from 0 to 1.

    `full` and `away` last until that moment of the loop: writes find no room, nothing can
    be reached. A write that is `late` is kept, and reported as failed.
    """

    slow: int = 2_000
    stale: float = 0.0
    ill: float = 0.0
    late: float = 0.0
    full: int = 0
    away: int = 0

    def calm(self) -> None:
        """No more faults."""
        self.stale = self.ill = self.late = 0.0
        self.full = self.away = 0


class _Request(Struct):
    work: Work[Any]
    reply: asyncio.Future[Any]


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("a store in memory waits for nothing")


class _Finished:
    """A part of the kept store that knows no weather: what is asked of it is answered at once."""

    def __init__(self, part: object, finish: Finish) -> None:
        self._part = part
        self._finish = finish

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        asked = getattr(self._part, name)

        async def answer(*positional: Any, **named: Any) -> Any:
            return self._finish(asked(*positional, **named))

        return answer


class FaultyStore(Store):
    """What one process has of the store in `kept`: writes gather, and are committed in groups.

    `finish` runs a coroutine of `kept` to its end. `conflicts` and `errors` count what was
    reported to those who wrote.
    """

    def __init__(
        self,
        kept: Store,
        weather: Weather,
        chance: Random,
        finish: Finish = at_once,
    ) -> None:
        self._kept = kept
        self.leases = FaultyLeases(kept.leases, self._read, self._write)
        self.mail = FaultyMail(kept.mail, self._read, self._write)
        self.shelf: Shelf = cast("Shelf", _Finished(kept.shelf, finish))
        self.cache: CacheStore = FaultyCache(kept.cache, self._read, self._write)
        self.audit: Audit = cast("Audit", _Finished(kept.audit, finish))
        self.quotas: Quotas = cast("Quotas", _Finished(kept.quotas, finish))
        self.snapshots = FaultySnapshots(kept.snapshots, chance, finish)
        self.keeping = kept.keeping
        self._weather = weather
        self._draw = chance.random
        self._finish = finish
        self._gathering: list[_Request] = []
        self.conflicts = 0
        self.errors = 0

    def crash(self) -> None:
        """The process is gone: of what it had not been told, the first few writes were kept."""
        waiting, self._gathering = self._gathering, []
        for request in waiting[: int(self._draw() * (len(waiting) + 1))]:
            self._attempt(request)

    # Writing.

    @override
    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease = NOBODY) -> bool:
        created: bool = await self._write(partial(self._kept.create, execution, records, lease))
        return created

    @override
    async def append(
        self,
        execution: ExecutionId,
        records: Sequence[Record],
        status: Execution | None = None,
        lease: Lease = NOBODY,
    ) -> None:
        await self._write(partial(self._kept.append, execution, records, status, lease))

    @override
    async def keep_plan(self, plan: Digest, document: bytes) -> None:
        await self._write(partial(self._kept.keep_plan, plan, document))

    @override
    async def deploy(self, deployed: Deployed, *, by: str = "", quota: int | None = None) -> None:
        await self._write(partial(self._kept.deploy, deployed, by=by, quota=quota))

    @override
    async def retire(self, tenant: Tenant, flow: FlowId, *, at: int, by: str = "") -> bool:
        retired: bool = await self._write(partial(self._kept.retire, tenant, flow, at=at, by=by))
        return retired

    @override
    async def probe(self) -> None:
        await self._write(self._kept.probe)

    @override
    def stats(self) -> Struct:
        return self._kept.stats()

    async def _write(self, work: Work[T]) -> T:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[T] = loop.create_future()
        self._gathering.append(_Request(work, reply))
        if len(self._gathering) == 1:
            loop.call_later(self._draw() * self._weather.slow / 1e6, self._commit)
        return await reply

    def _commit(self) -> None:
        batch, self._gathering = self._gathering, []
        error = self._fault(writing=True)
        late = error is None and self._draw() < self._weather.late
        for request in batch:
            value, own = (None, error) if error is not None else self._attempt(request)
            own = StoreUnavailable("the answer of the store got lost") if late else own
            self._tell(request.reply, value, own)

    def _attempt(self, request: _Request) -> tuple[Any, Exception | None]:
        try:
            return self._finish(request.work()), None
        except Exception as error:  # noqa: BLE001 - handed on to whoever wrote
            return None, error

    def _tell(self, reply: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
        self.conflicts += isinstance(error, Conflict)
        self.errors += isinstance(error, StoreError)
        if reply.done():
            return
        if error is None:
            reply.set_result(value)
        else:
            reply.set_exception(error)

    def _fault(self, *, writing: bool) -> StoreError | None:
        weather, now = self._weather, asyncio.get_running_loop().time() * 1e6
        if now < weather.away or self._draw() < weather.ill:
            return StoreUnavailable("the store cannot be reached")
        if writing and now < weather.full:
            return StoreFull("no room is left")
        return None

    # Reading.

    @override
    async def read(self, execution: ExecutionId, after: int = -1) -> list[Record]:
        return await self._read(partial(self._kept.read, execution, after))

    @override
    async def find(self, execution: ExecutionId) -> Execution | None:
        return await self._read(partial(self._kept.find, execution))

    @override
    async def search(
        self,
        *,
        tenant: Tenant | None = None,
        flow: FlowId | None = None,
        status: Sequence[Status] = (),
        before: ExecutionId | None = None,
        limit: int = 50,
    ) -> list[Execution]:
        search = partial(
            self._kept.search, tenant=tenant, flow=flow, status=status, before=before, limit=limit
        )
        return await self._read(search)

    @override
    async def unfinished(self) -> list[Execution]:
        return await self._read(self._kept.unfinished)

    @override
    async def plan(self, plan: Digest) -> bytes | None:
        return await self._read(partial(self._kept.plan, plan))

    @override
    async def deployed(self, tenant: Tenant, flow: FlowId) -> Deployed | None:
        return await self._read(partial(self._kept.deployed, tenant, flow))

    @override
    async def flows(self, tenant: Tenant, after: str = "", limit: int | None = None) -> list[Deployed]:
        return await self._read(partial(self._kept.flows, tenant, after, limit))

    @override
    async def deployed_plans(self, tenant: Tenant) -> dict[FlowId, Digest]:
        return await self._read(partial(self._kept.deployed_plans, tenant))

    async def _read(self, work: Work[T]) -> T:
        """What is kept, at once or after a while; and the answer may take a while too."""
        error = self._fault(writing=False)
        if error is not None:
            self.errors += 1
            raise error
        await self._linger()
        found: T = self._finish(work())
        await self._linger()
        return found

    async def _linger(self) -> None:
        if self._draw() < self._weather.stale:
            await asyncio.sleep(self._draw() * 4 * self._weather.slow / 1e6)

    @override
    async def close(self) -> None:
        """The store itself stays open: others use it."""
