"""Clients of a story: they start executions, stay with them to their end, and meddle meanwhile.

What they were told is evidence. Must never know: how the engine works, or which trouble comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from stratarouter_runtime.errors import NotFound, StrataError
from stratarouter_runtime.ids import LOCAL, FlowId
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.runtime import Runtime
from stratarouter_runtime.state.fork import Change
from stratarouter_runtime.testing import flows
from stratarouter_runtime.testing.evidence import Accepted, Paused, Reply, Violation
from stratarouter_runtime.testing.process import Gone, Process
from stratarouter_runtime.testing.quotes import TENANTS

if TYPE_CHECKING:
    from stratarouter_runtime.ids import ExecutionId, Tenant
    from stratarouter_runtime.testing.stage import Stage

T = TypeVar("T")

PATIENCE: Final = 1e9
"""Seconds that a client waits at a time before it says that its execution never ends."""

WANT_TO_KNOW: Final = 0.9
"""How many clients of a story about reuse want what may be reused."""

HANDS_OFF: Final = 0.7
"""How often a client that finds its execution paused sets it to work again."""


class Client:
    """One client, with one execution, and perhaps one that it begins from that."""

    def __init__(self, stage: Stage, number: int) -> None:
        self._stage = stage
        self._draw = stage.draw
        self._evidence = stage.evidence
        self._name = f"client {number}"

    async def live(self) -> None:
        """Start an execution, and stay with it until its end. The last flow has the most to go wrong."""
        draw = self._draw
        await asyncio.sleep(draw() * 0.1)
        if self._stage.temper.reuses and draw() < WANT_TO_KNOW:
            await self._want_to_know()
            return
        told, n = (
            flows.FLOWS[min(int(draw() * (len(flows.FLOWS) + 2)), len(flows.FLOWS) - 1)],
            int(draw() * 10),
        )
        await self._execute(told, n, LOCAL, self._name)

    async def _want_to_know(self) -> None:
        """Ask a few times for what others ask for as well, and other tenants too."""
        draw = self._draw
        tenant = TENANTS[int(draw() * len(TENANTS))]
        for time in range(1 + int(draw() * 3)):
            told, n = flows.REUSING[int(draw() * len(flows.REUSING))], int(draw() * 2)
            if draw() < 0.5:
                await self._execute(told, n, tenant, f"{self._name}, {time}")
            else:
                await self._ask(told, n, tenant)

    async def _ask(self, told: flows.Told, n: int, tenant: Tenant) -> None:
        """Ask for an answer, whosever it is."""
        timeout = int(self._draw() * 100_000) if self._draw() < 0.3 else None
        flow, plan = FlowId(told.name), flows.plan(told.name)
        request = StartExecution(plan=plan, input={"n": n}, flow=flow, tenant=tenant, timeout=timeout)
        row, _ = await self._insist(lambda runtime: runtime.answer(request))
        self._evidence.replies.append(Reply(told, n, tenant, row, timeout is not None))

    async def _execute(self, told: flows.Told, n: int, tenant: Tenant, key: str) -> None:
        draw = self._draw
        request = StartExecution(
            plan=flows.plan(told.name),
            input={"n": n},
            flow=FlowId(told.name),
            tenant=tenant,
            key=key if draw() < 0.6 else None,
            timeout=int(draw() * 500_000) if draw() < 0.1 else None,
        )
        execution = await self._insist(lambda runtime: runtime.start(request))
        self._evidence.accepted.append(Accepted(execution, told, n))
        if draw() < 0.2 and request.key is not None:
            again = await self._insist(lambda runtime: runtime.start(request))
            self._evidence.accepted.append(Accepted(again, told, n, again=execution))
        await self._stay(execution, told, n)
        if not told.books and draw() < self._stage.temper.forks:
            await self._begin_anew(execution, told, n)

    async def _begin_anew(self, execution: ExecutionId, told: flows.Told, n: int) -> None:
        """Begin from what an execution did: the same again, or with another input."""
        change = Change()
        if self._draw() < 0.5:
            n = int(self._draw() * 10)
            change = Change(input={"n": n})
        fork = await self._insist(lambda runtime: runtime.controls.fork(execution, change))
        self._evidence.accepted.append(Accepted(fork, told, n))
        await self._stay(fork, told, n)

    async def _insist(self, work: Callable[[Runtime], Coroutine[Any, Any, T]]) -> T:
        """Try until it is acknowledged."""
        pause = 0.005
        while pause < PATIENCE:
            process = await self._stage.somebody()
            patience = self._draw() * 0.01 if self._draw() < self._stage.temper.leaves else None
            try:
                return await process.ask(work(process.runtime), patience)
            except (Gone, StrataError):
                await asyncio.sleep(self._draw() * pause)
                pause *= 2
        raise Violation("what a client wants is never acknowledged")

    async def _stay(self, execution: ExecutionId, told: flows.Told, n: int) -> None:
        patience = 0.01
        while patience < PATIENCE:
            process = await self._stage.somebody()
            try:
                row = await process.ask(process.runtime.wait(execution, patience))
                if row.status in ENDED:
                    self._evidence.ends[execution] = row
                    return
                if row.status == "paused" and self._draw() < HANDS_OFF:
                    await process.ask(process.runtime.controls.resume(execution))
                else:
                    await self._meddle(process, execution, told, n)
            except NotFound as lost:
                raise Violation(f"{execution} was acknowledged, and is lost") from lost
            except (Gone, StrataError):
                pass
            await asyncio.sleep(self._draw() * patience)
            patience *= 1.7
        raise Violation(f"never ends: {execution}, and its client still waits")

    async def _meddle(self, process: Process, execution: ExecutionId, told: flows.Told, n: int) -> None:
        draw, controls, temper = self._draw, process.runtime.controls, self._stage.temper
        if draw() < temper.cancels:
            await process.ask(controls.cancel(execution, "enough", self._name))
            self._evidence.cancels.append((execution, self._name))
        elif told.asks is not None and draw() < 0.4:
            by = f"{self._name} {draw()}"
            await process.ask(controls.answer(execution, "q", self._answer(told, told.asks(n)), by))
            self._evidence.answers.append((execution, by))
        elif temper.moves and draw() < temper.moves:
            await self._move(process, execution, told)
        elif draw() < 0.1:
            await process.ask(controls.resume(execution))

    async def _move(self, process: Process, execution: ExecutionId, told: flows.Told) -> None:
        """Have it go on with a later version of its flow, or stop it and look that it stands still."""
        if self._draw() < 0.4:
            later = flows.plan(told.name, later=True)
            await process.ask(process.runtime.controls.migrate(execution, later, self._name))
            self._evidence.moves.append((execution, later.digest))
            return
        await process.ask(process.runtime.controls.pause(execution))
        began = self._stage.loop.elapsed
        await asyncio.sleep(self._draw() * 0.05)
        self._evidence.pauses.append(Paused(execution, began, self._stage.loop.elapsed))

    def _answer(self, told: flows.Told, value: Any) -> Any:
        """Whoever is asked whether a call happened knows no more than we do."""
        if not told.doubts:
            return value
        happened = self._draw() < 0.5
        return {"happened": happened, "output": value if happened else None}
