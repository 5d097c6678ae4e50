"""One execution whose n-th write goes wrong, for every n: crash or error, before or after it is kept.

What `simulation` finds by chance is walked through here point by point, on any store. Must
never know: how the engine works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random  # noqa: TID251 - seeded: the same draws every time
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.errors import InvalidState, StoreUnavailable, StrataError
from stratarouter_runtime.ports import ENDED, Execution, Store
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.testing.evidence import Evidence
from stratarouter_runtime.testing.faults import FaultyStore, Finish, Weather, Work, _Request, at_once
from stratarouter_runtime.testing.loop import SimulatedLoop
from stratarouter_runtime.testing.process import Gone, Process
from stratarouter_runtime.testing.world import Luck, World

T = TypeVar("T")

How: TypeAlias = Literal["crash before", "crash after", "error before", "error after"]
"""What happens at the write, and whether that is before or after it is kept."""

WAYS: Final[tuple[How, ...]] = get_args(How)

TRIES: Final = 30
"""How often the client tries; its patience doubles each time."""


class Cut(Struct, frozen=True):
    """Which write of the first process goes wrong, and how. The first is number 0."""

    at: int
    how: How


class CuttingStore(FaultyStore):
    """Fails one write; `writes` counts them. A crash calls `strike`."""

    def __init__(self, kept: Store, chance: Random, finish: Finish, cut: Cut | None) -> None:
        super().__init__(kept, Weather(), chance, finish)
        self._cut = cut
        self.writes = 0
        self.strike: Callable[[], None] = _no_strike

    @override
    async def _write(self, work: Work[T]) -> T:
        number = self.writes
        self.writes += 1
        if self._cut is None or number != self._cut.at:
            return await super()._write(work)
        reply: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._cut.how.endswith("after"):
            self._attempt(_Request(work, reply))
        if self._cut.how.startswith("crash"):
            self.strike()
            return await reply  # nobody is left to be told
        self.errors += 1
        raise StoreUnavailable(f"write {number} failed")


def _no_strike() -> None:
    raise AssertionError("set `strike` first")


class Trial:
    """One execution under one cut, and a second process that takes it to its end.

    `reopen` gives the store as a new process finds it. `answers` maps steps that ask to what
    is answered.
    """

    def __init__(
        self,
        request: Callable[[Process], StartExecution],
        agents: Callable[[World, int], Registry],
        *,
        cut: Cut | None,
        reopen: Callable[[], Store],
        finish: Finish = at_once,
        answers: Mapping[str, Any] | None = None,
    ) -> None:
        self.loop = SimulatedLoop(Random(0))  # noqa: S311 - a simulation
        chance = Random(0)  # noqa: S311 - likewise
        self.world = World(self.loop, chance, Luck(slow=0.01), self._durable)
        self._request = request
        self._agents = agents
        self._cut = cut
        self._reopen = reopen
        self._finish = finish
        self._answers = answers or {}
        self._kept = reopen()
        self._process = self._begin(cut)
        self.writes = 0

    def run(self) -> tuple[Execution, Evidence]:
        """Take it to its end; the row as the client sees it, and what there is to judge."""
        try:
            row = self.loop.run(self._client())
            self.loop.run(self._children())
            self._process.kill()
            return row, Evidence(world=self.world, kept=self._kept, finish=self._finish)
        finally:
            self.loop.close()

    def _durable(self, execution: Any) -> int:
        row: Execution | None = self._finish(self._kept.find(execution))
        return 0 if row is None else row.records

    def _begin(self, cut: Cut | None) -> Process:
        store = CuttingStore(self._kept, self.world.chance, self._finish, cut)
        number = 0 if cut is self._cut else 1
        process = Process(number, self.world, store, self._agents(self.world, number))
        store.strike = process.kill
        self._store = store
        return process

    async def _client(self) -> Execution:
        """Insist on one key until the end is seen."""
        patience = 0.01
        for _ in range(TRIES):
            try:
                row = await self._ask(patience)
                if row.status in ENDED:
                    return row
                await self._recover()
            except Gone:
                await self._again()
            except StrataError:
                pass
            patience *= 2
            await asyncio.sleep(patience)
        raise AssertionError("it does not end")

    async def _ask(self, patience: float) -> Execution:
        process, runtime = self._process, self._process.runtime
        request = self._request(process)
        row = await process.ask(runtime.execute(request, patience))
        if row.status == "waiting":
            for step, value in self._answers.items():
                with suppress(InvalidState):
                    await process.ask(runtime.controls.answer(row.id, step, value))
        self.writes = self._store.writes
        return row

    async def _again(self) -> None:
        """Another process, after the first has crashed."""
        self._kept = self._reopen()
        self._process = self._begin(None)
        await self._recover()

    async def _recover(self) -> None:
        """As whoever runs it does: what the store has stopped waits for this."""
        recovery = await self._process.ask(self._process.runtime.recover())
        assert not recovery.left, recovery.left

    async def _children(self) -> None:
        patience = 0.01
        while self._finish(self._kept.unfinished()):
            assert patience < 1e6, "an execution that was begun does not end"
            await self._recover()
            await asyncio.sleep(patience)
            patience *= 2
