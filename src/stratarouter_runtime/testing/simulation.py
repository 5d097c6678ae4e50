"""One seed, one story: the production engine among crashes, rivals, bad disks and impatient people.

Only the ports are replaced. Clients start executions of the flows in `flows`, answer, and
cancel; a nemesis kills, drains, doubles and confuses the processes; then the weather
calms, and whatever was begun must come to its end. `checker` judges what is left.

    python -m stratarouter_runtime.testing.simulation FIRST [COUNT]

Must never know: how the engine works.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from random import Random  # noqa: TID251 - seeded: the same draws every time
from typing import Any, Final, TypeVar

from blake3 import blake3
from msgspec import Struct

from stratarouter_runtime.errors import NotFound, StrataError
from stratarouter_runtime.ids import ExecutionId, FlowId
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.runtime import Runtime, StartExecution
from stratarouter_runtime.sharing import Lease
from stratarouter_runtime.testing import flows
from stratarouter_runtime.testing.checker import Accepted, Drained, Evidence, Violation, check
from stratarouter_runtime.testing.faults import FaultyStore, Weather, at_once
from stratarouter_runtime.testing.loop import Deadlock, Endless, SimulatedLoop
from stratarouter_runtime.testing.process import Gone, Process
from stratarouter_runtime.testing.witness import WitnessStore
from stratarouter_runtime.testing.world import Luck, World, simulated_agents

T = TypeVar("T")

COLD: Final = 0.01
"""The share of stories whose processes begin without a plan in memory: compiling takes most of their time."""


SPAN: Final = 0.05
"""Seconds that a lease holds while there are rivals."""

NOTICED: Final = 0.5
"""How often the end of a process is noticed before its lease is over."""

PATIENCE: Final = 1e9
"""Seconds that a client waits at a time before it says that its execution never ends."""


class Temper(Struct):
    """How wild a story is, drawn from its seed: most kinds of trouble are off in most stories."""

    cold: bool
    clients: int
    troubles: tuple[str, ...]
    times: int
    twice: float
    cancels: float
    leaves: float
    weather: Weather
    luck: Luck

    @classmethod
    def draw(cls, chance: Random) -> Temper:
        """The temper of the story of this chance."""

        def some(share: float, most: float) -> float:
            return chance.random() * most if chance.random() < share else 0.0

        # In fair stories the store never fails and nobody races: nothing may need recovery but a start.
        fair = chance.random() < 0.4
        among = FAIR if fair else tuple(TROUBLES)
        troubles = [name for name in among if chance.random() < 0.5]
        rivals = "rival" in troubles
        if rivals:
            troubles += RACES
        return cls(
            cold=chance.random() < COLD,
            clients=1 + int(chance.random() * 3),
            troubles=tuple(troubles),
            times=int(chance.random() * 5) + 2 * rivals,
            twice=some(0.3, 0.5),
            cancels=some(0.3, 0.3),
            leaves=some(0.4, 0.8),
            weather=Weather(
                slow=1 + int(some(0.9, 8_000)),
                stale=some(0.4, 0.5),
                ill=0.0 if fair else some(0.4, 0.1),
                late=0.0 if fair else some(0.4, 0.1),
            ),
            luck=Luck(
                fails=some(0.6, 0.3), hangs=some(0.3, 0.1), lies=some(0.2, 0.1), stubborn=some(0.3, 1.0)
            ),
        )


class Story:
    """Everything that happens under one seed."""

    def __init__(self, seed: int) -> None:
        self._chance = chance = Random(seed)  # noqa: S311 - a simulation
        self._draw = chance.random
        self.loop = SimulatedLoop(chance)
        self._temper = temper = Temper.draw(chance)
        self._rivals = "rival" in temper.troubles
        # Alone with a store, a process has its lease until the next one comes.
        self.kept = WitnessStore(SPAN if self._rivals else None, self.loop.time)
        for plan in flows.compiled().values():
            if not temper.cold or plan.name == "inner":
                at_once(self.kept.keep_plan(plan.digest, plan.document))
        self.world = World(self.loop, chance, temper.luck, self._written)
        self._processes: list[Process] = []
        self._started = 0
        self._gone: list[Lease] = []
        self._operators: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        faults = temper.weather.ill + temper.weather.late > 0 or {"rival", "full", "away"} & set(
            temper.troubles
        )
        self._steady = not faults
        well = not (
            temper.weather.ill + temper.weather.late or {"stop", "full", "away"} & set(temper.troubles)
        )
        self._well = well
        self.evidence = Evidence(world=self.world, kept=self.kept)

    def _written(self, execution: ExecutionId) -> int:
        row = at_once(self.kept.find(execution))
        return 0 if row is None else row.records

    async def tell(self) -> None:
        """From the first request to the last end."""
        loop = self.loop
        self._begin_process()
        if self._rivals:
            await self._rival()
        clients = [loop.create_task(self._client(number)) for number in range(self._temper.clients)]
        await self._trouble()
        self._calm()
        for client in clients:
            await client
        await self._all_ended()
        self._end_process(self._processes[0])
        self.evidence.trespasses = self.kept.trespasses
        self.evidence.excused = not self._well

    # Processes.

    def _begin_process(self) -> None:
        world, temper, number = self.world, self._temper, self._started
        store = FaultyStore(self.kept, temper.weather, world.chance)
        process = Process(number, world, store, simulated_agents(world, number), temper.twice)
        if not temper.cold:
            process.runtime._plans._plans.update(flows.compiled())  # noqa: SLF001 - as if it had run for a while
        self._started += 1
        self._processes.append(process)
        self._changed.set()
        self._operators.append(self.loop.create_task(self._operate(process)))

    def _end_process(self, process: Process) -> None:
        process.kill()
        self.evidence.conflicts += process.store.conflicts
        self.evidence.lost += process.store.leases.lost
        self._gone += process.store.leases.entered
        if self._draw() < NOTICED:
            for lease in process.store.leases.entered:
                self.kept.leases.notice_end(lease)
        self._processes.remove(process)
        if not self._processes:
            self._changed.clear()

    async def _operate(self, process: Process) -> None:
        """Recover at the start; where something may stop an execution before its end, go on with upkeep."""
        pause, begun = 0.02, False
        upkeep = process.runtime.upkeep(claiming=True)
        while True:
            try:
                recovery = await process.ask(upkeep.round() if begun else process.runtime.recover())
                if self._steady and not recovery.left:
                    return
                begun = True
            except Gone:
                return
            except StrataError:
                pass
            await asyncio.sleep(pause)
            pause *= 1 if self.kept.leases.span is not None else 2

    async def _somebody(self) -> Process:
        while not self._processes:
            await self._changed.wait()
        return self._processes[int(self._draw() * len(self._processes))]

    # Clients.

    async def _client(self, number: int) -> None:
        """Start an execution, and stay with it until its end. The last flow has the most to go wrong."""
        draw = self._draw
        await asyncio.sleep(draw() * 0.1)
        told, n = (
            flows.FLOWS[min(int(draw() * (len(flows.FLOWS) + 2)), len(flows.FLOWS) - 1)],
            int(draw() * 10),
        )
        request = StartExecution(
            plan=flows.plan(told.name),
            input={"n": n},
            flow=FlowId(told.name),
            key=f"client {number}" if draw() < 0.6 else None,
            timeout=int(draw() * 500_000) if draw() < 0.1 else None,
        )
        execution = await self._insist(lambda runtime: runtime.start(request))
        self.evidence.accepted.append(Accepted(execution, told, n))
        if draw() < 0.2 and request.key is not None:
            again = await self._insist(lambda runtime: runtime.start(request))
            self.evidence.accepted.append(Accepted(again, told, n, again=execution))
        await self._stay(execution, f"client {number}", told, n)

    async def _insist(self, work: Callable[[Runtime], Coroutine[Any, Any, T]]) -> T:
        """Try until it is acknowledged."""
        pause = 0.005
        while pause < PATIENCE:
            process = await self._somebody()
            patience = self._draw() * 0.01 if self._draw() < self._temper.leaves else None
            try:
                return await process.ask(work(process.runtime), patience)
            except (Gone, StrataError):
                await asyncio.sleep(self._draw() * pause)
                pause *= 2
        raise Violation("a start is never acknowledged")

    async def _stay(self, execution: ExecutionId, name: str, told: flows.Told, n: int) -> None:
        patience = 0.01
        while patience < PATIENCE:
            process = await self._somebody()
            try:
                row = await process.ask(process.runtime.wait(execution, patience))
                if row.status in ENDED:
                    self.evidence.ends[execution] = row
                    return
                await self._meddle(process, execution, name, told, n)
            except NotFound as lost:
                raise Violation(f"{execution} was acknowledged, and is lost") from lost
            except (Gone, StrataError):
                pass
            await asyncio.sleep(self._draw() * patience)
            patience *= 1.7
        raise Violation(f"never ends: {execution}, and its client still waits")

    async def _meddle(
        self, process: Process, execution: ExecutionId, name: str, told: flows.Told, n: int
    ) -> None:
        draw, runtime = self._draw, process.runtime
        if draw() < self._temper.cancels:
            await process.ask(runtime.controls.cancel(execution, "enough", name))
            self.evidence.cancels.append((execution, name))
        elif told.asks is not None and draw() < 0.4:
            by = f"{name} {draw()}"
            await process.ask(runtime.controls.answer(execution, "q", self._answer(told, told.asks(n)), by))
            self.evidence.answers.append((execution, by))
        elif draw() < 0.1:
            await process.ask(runtime.controls.resume(execution))

    def _answer(self, told: flows.Told, value: Any) -> Any:
        """Whoever is asked whether a call happened knows no more than we do."""
        if not told.doubts:
            return value
        happened = self._draw() < 0.5
        return {"happened": happened, "output": value if happened else None}

    # Troubles.

    async def _trouble(self) -> None:
        troubles = self._temper.troubles
        for _ in range(self._temper.times if troubles else 0):
            await asyncio.sleep(self._draw() * 0.08)
            await TROUBLES[troubles[int(self._draw() * len(troubles))]](self)

    async def _crash(self) -> None:
        self._end_process(await self._somebody())
        if not self._processes:
            await asyncio.sleep(self._draw() * 0.02)
            self._begin_process()

    async def _drain(self) -> None:
        process = await self._somebody()
        patience = 0.05 + self._draw()
        drained = Drained(process.number, self.loop.elapsed, int(patience * 1e6))
        try:
            await process.ask(process.runtime.driver.drain(patience))
        except (Gone, StrataError):
            return
        if not process.store.errors + process.store.conflicts and process in self._processes:
            self.evidence.drained.append(drained)
        if process in self._processes:
            self._end_process(process)
        if not self._processes:
            self._begin_process()

    async def _stop(self) -> None:
        """Stop a process, for longer than its lease or not: it does not know how long."""
        process = await self._somebody()
        process.stop()
        self.loop.call_later(self._draw() * 4 * SPAN, process.go_on)

    async def _rival(self) -> None:
        if len(self._processes) < 2:
            self._begin_process()
            self._processes[-1].clock.off = int((self._draw() - 0.5) * 2e6)

    async def _jump(self) -> None:
        process = await self._somebody()
        process.clock.off += int((self._draw() - 0.5) * 2 ** (self._draw() * 33))

    async def _full(self) -> None:
        self._temper.weather.full = self.loop.elapsed + int(self._draw() * 60_000)

    async def _away(self) -> None:
        self._temper.weather.away = self.loop.elapsed + int(self._draw() * 60_000)

    def _calm(self) -> None:
        """No more trouble: one process, which takes up all that is left, and is never helped again."""
        self._temper.weather.calm()
        self.world.calm()
        self._temper.cancels = self._temper.leaves = 0.0
        for process in self._processes[1 if self._draw() < 0.5 else 0 :]:
            self._end_process(process)
        self.kept.leases.span = None
        for lease in self._gone:
            at_once(self.kept.leases.leave(lease))
        for process in self._processes:
            for lease in process.store.leases.entered:
                at_once(self.kept.leases.keep(lease))
        if not self._processes:
            self._begin_process()
        elif not self._steady:
            self._operators.append(self.loop.create_task(self._operate(self._processes[0])))

    async def _all_ended(self) -> None:
        pause = 0.1
        while rows := at_once(self.kept.unfinished()):
            if pause > PATIENCE:
                names = ", ".join(f"{row.id} of {row.flow}" for row in rows)
                raise Violation(f"never ends: {names}")
            await asyncio.sleep(pause)
            pause *= 2


TROUBLES: Final[dict[str, Callable[[Story], Coroutine[Any, Any, None]]]] = {
    "crash": Story._crash,  # noqa: SLF001 - a table of its own methods
    "drain": Story._drain,  # noqa: SLF001
    "rival": Story._rival,  # noqa: SLF001
    "stop": Story._stop,  # noqa: SLF001
    "jump": Story._jump,  # noqa: SLF001
    "full": Story._full,  # noqa: SLF001
    "away": Story._away,  # noqa: SLF001
}


RACES: Final = ("stop", "stop", "crash")
"""What rivals meet more often than others do: it makes one take over from another."""


FAIR: Final = ("crash", "drain", "jump")
"""Troubles in which nothing fails that a start does not mend."""


class Told(Struct, frozen=True):
    """What became of a story: its digest, which says whether two were the same; and what went wrong."""

    seed: int
    digest: str
    executions: int
    wrong: str = ""


def tell(seed: int) -> Told:
    """Tell the story of a seed, and judge it."""
    story = Story(seed)
    wrong = ""
    try:
        story.loop.run(story.tell())
        check(story.evidence, story.loop)
    except (Violation, Deadlock, Endless) as found:
        wrong = f"{type(found).__name__}: {found}"
    finally:
        story.loop.close()
    return Told(seed, _digest(story), len(story.evidence.rows()), wrong)


def _digest(story: Story) -> str:
    """Of all journals, of the order of callbacks, and of every draw."""
    kept = story.evidence
    links = sorted(kept.records(row.id)[-1].link.hex() for row in kept.rows())
    calls = [f"{called.call.key} {called.call.attempt} {called.answered}" for called in story.world.calls]
    rest = [str(story.loop.taken), str(story.loop.elapsed), str(story._chance.random())]  # noqa: SLF001 - its own
    return blake3("\n".join([*links, *calls, *rest]).encode()).hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Tell the stories of COUNT seeds from FIRST on; 1 where something went wrong in one of them."""
    first, count = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1
    gc.freeze()
    logging.disable()
    told = [tell(seed) for seed in range(first, first + count)]
    wrong = [each for each in told if each.wrong]
    for each in wrong:
        print(f"seed {each.seed}: {each.wrong}")  # noqa: T201 - this is its output
    print(f"{blake3(''.join(each.digest for each in told).encode()).hexdigest()} {count} seeds")  # noqa: T201 - likewise
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
