"""Where a story takes place: the store that all processes share, and the processes that come and go.

Must never know: what clients ask, or which trouble comes next.
"""

from __future__ import annotations

import asyncio
from random import Random  # noqa: TID251 - seeded: the same draws every time
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.errors import StrataError
from stratarouter_runtime.testing import flows
from stratarouter_runtime.testing.evidence import Evidence
from stratarouter_runtime.testing.faults import FaultyStore, at_once
from stratarouter_runtime.testing.loop import SimulatedLoop
from stratarouter_runtime.testing.process import Gone, Process
from stratarouter_runtime.testing.temper import EIGHTH, Temper
from stratarouter_runtime.testing.witness import WitnessStore
from stratarouter_runtime.testing.world import World, simulated_agents

if TYPE_CHECKING:
    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.sharing import Lease

SPAN: Final = 0.05
"""Seconds that a lease holds while there are rivals."""

NOTICED: Final = 0.5
"""How often the end of a process is noticed before its lease is over."""


class Stage:
    """Everything that is there under one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = Random(seed)  # noqa: S311 - a simulation
        self.draw = chance.random
        self.loop = SimulatedLoop(chance)
        self.temper = temper = Temper.draw(chance, reuses=seed % 8 == EIGHTH)
        self.steady, self.well = temper.steady, temper.well
        # Alone with a store, a process has its lease until the next one comes.
        self.kept = WitnessStore(SPAN if temper.rivals else None, self.loop.time)
        for plan in flows.compiled().values():
            if not temper.cold or plan.name == "inner":
                at_once(self.kept.keep_plan(plan.digest, plan.document))
        self.world = World(self.loop, chance, temper.luck, self._written)
        self.processes: list[Process] = []
        self._started = 0
        self._gone: list[Lease] = []
        self._operators: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self.evidence = Evidence(world=self.world, kept=self.kept, reuses=temper.reuses)

    def _written(self, execution: ExecutionId) -> int:
        row = at_once(self.kept.find(execution))
        return 0 if row is None else row.records

    def begin_process(self) -> None:
        """One process more."""
        world, temper, number = self.world, self.temper, self._started
        store = FaultyStore(self.kept, temper.weather, world.chance)
        process = Process(
            number, world, store, simulated_agents(world, number), temper.twice, reuses=temper.reuses
        )
        if not temper.cold:
            process.runtime._plans._plans.update(flows.compiled())  # noqa: SLF001 - as if it had run for a while
        self._started += 1
        self.processes.append(process)
        self._changed.set()
        self._operate(process)

    def begin_rival(self) -> None:
        """A second process, with a clock of its own."""
        if len(self.processes) < 2:
            self.begin_process()
            self.processes[-1].clock.off = int((self.draw() - 0.5) * 2e6)

    def end_process(self, process: Process) -> None:
        """End one between two callbacks."""
        process.kill()
        self.evidence.conflicts += process.store.conflicts
        self.evidence.lost += process.store.leases.lost
        self._gone += process.store.leases.entered
        if self.draw() < NOTICED:
            for lease in process.store.leases.entered:
                self.kept.leases.notice_end(lease)
        self.processes.remove(process)
        if not self.processes:
            self._changed.clear()

    async def somebody(self) -> Process:
        """A process that runs, as soon as there is one."""
        while not self.processes:
            await self._changed.wait()
        return self.processes[int(self.draw() * len(self.processes))]

    def leave_one(self) -> None:
        """End all processes but one, or all; what they held is free, and one is there to take it up."""
        for process in self.processes[1 if self.draw() < 0.5 else 0 :]:
            self.end_process(process)
        self.kept.leases.span = None
        for lease in self._gone:
            at_once(self.kept.leases.leave(lease))
        for process in self.processes:
            for lease in process.store.leases.entered:
                at_once(self.kept.leases.keep(lease))
        if not self.processes:
            self.begin_process()
        elif not self.steady:
            self._operate(self.processes[0])

    def _operate(self, process: Process) -> None:
        self._operators.append(self.loop.create_task(self._look_after(process)))

    async def _look_after(self, process: Process) -> None:
        """Recover at the start; where something may stop an execution before its end, go on with upkeep."""
        pause, begun = 0.02, False
        upkeep = process.runtime.upkeep(claiming=True)
        while True:
            try:
                recovery = await process.ask(upkeep.round() if begun else process.runtime.recover())
                if self.steady and not recovery.left:
                    return
                begun = True
            except Gone:
                return
            except StrataError:
                pass
            await asyncio.sleep(pause)
            pause *= 1 if self.kept.leases.span is not None else 2
