"""The group committer: a few lanes, each committing all that waits for it in one transaction.

While a lane commits, its next batch gathers; nothing waits for a timer. All writes of one
execution go through one lane, which keeps their order. Must never know: SQL.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from stratarouter_runtime.errors import LeaseLost, StoreError, StoreUnavailable
from stratarouter_runtime.storage.postgres.batch import Create
from stratarouter_runtime.storage.postgres.faults import closed, concerns_one, translated
from stratarouter_runtime.storage.postgres.numbers import HALF
from stratarouter_runtime.storage.statistics import Commits
from stratarouter_runtime.storage.waiting import Room, own

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.storage.postgres.address import Address
    from stratarouter_runtime.storage.postgres.batch import Outcome, Write
    from stratarouter_runtime.storage.postgres.lane import Lane
    from stratarouter_runtime.storage.postgres.numbers import Numbers

ROWS: Final = 1_000
"""Rows of one commit, as far as whole writes allow."""

BYTES: Final = 8 * 1024 * 1024
"""Likewise: what one message to the server holds."""


class _Request(Struct):
    """A write, what it weighs, how long it may wait, and who waits for it."""

    write: Write
    bytes: int
    until: float
    future: asyncio.Future[Any]


class Writer:
    """Used from one event loop. `patience`: seconds a write waits for a database that is away."""

    def __init__(self, lanes: Sequence[Lane], numbers: Numbers, address: Address, patience: float) -> None:
        self._patience = patience
        self._room = Room()
        self.commits = Commits()
        self._queues = [_Queue(lane, numbers, address, self._room, self.commits) for lane in lanes]
        self._closed = False

    async def submit(self, write: Write) -> Any:
        """Have a write committed; returns when it is synced. Cancelled, it may still come true.

        Raises what the write raises, or a `StoreError`.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        await self._room.enter()
        if self._closed:
            self._room.leave()
            raise closed()
        size = sum(len(record.body) for record in write.records)
        request = _Request(write, size, until, loop.create_future())
        self._queues[hash(write.id) % len(self._queues)].put(request)
        return await request.future

    def forget(self, executions: Iterable[ExecutionId]) -> None:
        """Ask the database again where these journals go on: others may have had them meanwhile."""
        for execution in executions:
            self._queues[hash(execution) % len(self._queues)].lane.forget(execution)

    @property
    def waiting(self) -> int:
        """Writes that have queued and are not decided."""
        return self._room.taken

    async def close(self) -> None:
        """Commit what waits, then end. Again does nothing more."""
        self._closed = True
        await asyncio.gather(*(queue.close() for queue in self._queues))


class _Queue:
    """The writes that wait for one lane, and the task that serves them."""

    def __init__(self, lane: Lane, numbers: Numbers, address: Address, room: Room, commits: Commits) -> None:
        self._commits = commits
        self.lane = lane
        self._numbers = numbers
        self._address = address
        self._room = room
        self._waiting: deque[_Request] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._task = asyncio.get_running_loop().create_task(self._serve(), name="store-writer")

    def put(self, request: _Request) -> None:
        self._waiting.append(request)
        self._wake.set()

    async def close(self) -> None:
        self._closed = True
        self._wake.set()
        await asyncio.shield(self._task)

    async def _serve(self) -> None:
        while self._waiting or not self._closed:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                # Behind all that is ready now: what one commit has woken shares the next one.
                await asyncio.sleep(0)
                continue
            batch = _take(self._waiting)
            outcomes = await self._commit(batch)
            self._room.settle(batch, outcomes)
            if isinstance(outcomes[0], StoreUnavailable):
                self._give_up(outcomes[0])
        await self.lane.close()

    def _give_up(self, fault: StoreUnavailable) -> None:
        """Tell those who have waited as long for a database that is away; the others go on waiting."""
        now = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0].until < now:
            self._room.settle([self._waiting.popleft()], [own(fault)])

    async def _commit(self, batch: Sequence[_Request]) -> Sequence[Outcome | Exception]:
        """Commit a batch, or fail it; where one write is to blame, each is tried alone."""
        writes = [request.write for request in batch]
        try:
            number = await self._numbers.take()
            began = perf_counter()
            outcomes = await self.lane.commit(writes, number & HALF, batch[0].until)
            self._commits.count(len(batch), perf_counter() - began)
            return outcomes  # noqa: TRY300 - counted only once it is made
        except LeaseLost as error:
            # Of a process that came back under a new lease, only what belongs to the old one is refused.
            if len({write.lease for write in writes}) == 1:
                return [own(error) for _ in batch]
        except StoreError as error:
            self._commits.failures += 1
            return [own(error) for _ in batch]
        except Exception as error:  # noqa: BLE001 - the task must outlive whatever a write does
            if not concerns_one(error):
                self._commits.failures += 1
                return [own(translated(error, self._address)) for _ in batch]
            if len(batch) == 1:
                return [error]
        return [outcome for request in batch for outcome in await self._commit([request])]


def _take(waiting: deque[_Request]) -> list[_Request]:
    """The next batch: at least one write, about `ROWS` rows.

    An append ends it where its execution begins in the same batch: only the commit tells
    whether that came about.
    """
    batch: list[_Request] = []
    rows = size = 0
    begun = set()
    while waiting:
        write = waiting[0].write
        rows += 1 + len(write.records)
        size += waiting[0].bytes
        if batch and (rows > ROWS or size > BYTES or (write.id in begun and not isinstance(write, Create))):
            break
        if isinstance(write, Create):
            begun.add(write.id)
        batch.append(waiting.popleft())
    return batch
