"""What can be done to an execution from outside: answer, cancel, pause, resume, fork, migrate.

Where another process drives it, that one is asked by letter. Must never know: HTTP, SQL, any
back-end; how an execution was started.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from stratarouter_runtime.errors import Conflict, InvalidState, StoreUnavailable, StrataError
from stratarouter_runtime.executor.migrating import move
from stratarouter_runtime.executor.preparing import answered
from stratarouter_runtime.executor.recovery import resume
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.services.letters import (
    Act,
    Answer,
    Cancel,
    Outcome,
    Pause,
    outcome_of,
    read,
    read_outcome,
    recorded,
    write,
)
from stratarouter_runtime.state.fork import Change, fork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stratarouter_runtime.executor.driver import Driver
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.executor.presence import Hold
    from stratarouter_runtime.ids import ExecutionId, Tenant
    from stratarouter_runtime.ports import Clock, Entropy, Execution, Store
    from stratarouter_runtime.services.history import History
    from stratarouter_runtime.sharing import Letter
    from stratarouter_runtime.tcfp.plan import Plan

FIRST: Final = 0.05
LONGEST: Final = 0.25
"""Seconds between looks for the outcome of a letter."""

PATIENCE: Final = 30.0
"""Seconds after which a process counts as not answering."""


class Controls:
    """Acts on executions, at work or not: who is asked about one that stands still sets it to work."""

    def __init__(
        self,
        driver: Driver,
        store: Store,
        plans: Plans,
        history: History,
        clock: Clock,
        entropy: Entropy,
        allowed: Callable[[Tenant], Awaitable[int | None]] | None = None,
    ) -> None:
        """`allowed` says how many microseconds an execution of a tenant may take, where that is limited."""
        self.driver = driver
        self._store = store
        self._plans = plans
        self._history = history
        self._clock = clock
        self._entropy = entropy
        self._allowed = allowed

    async def answer(self, execution: ExecutionId, step: str, value: Any, by: str = "") -> None:
        """Answer a question; returns once the answer is durable. Raises as `Driver.answer`."""
        await self._ask(execution, Answer(step, value, by))

    async def cancel(self, execution: ExecutionId, reason: str = "", by: str = "") -> None:
        """Have an execution end, undoing what it completed; returns once that is durable."""
        await self._ask(execution, Cancel(reason, by))

    async def pause(self, execution: ExecutionId) -> None:
        """Stop an execution until it is resumed; returns once that is durable. Raises as `Driver.pause`."""
        await self._ask(execution, Pause())

    async def resume(self, execution: ExecutionId) -> None:
        """Set one unfinished execution to work again.

        Raises `InvalidState` for one that finished, `Conflict` where another process is about to change it.
        """
        if not await self._at_work(execution) and (await self._history.find(execution)).status == "paused":
            raise Conflict(
                f"another process is at work with the paused execution {execution}",
                hint="try again in a moment",
            )

    async def migrate(self, execution: ExecutionId, target: Plan, by: str = "") -> None:
        """Have an unfinished execution go on with another plan, once calls under way have answered.

        Returns once that is durable. One that was paused stays so. Raises `InvalidState` where what it
        has done would not be the same on that plan: it then goes on with its own.
        """
        paused = (await self._history.find(execution)).status == "paused"
        if not paused:
            await self.pause(execution)
        try:
            await move(
                execution,
                target,
                by,
                store=self._store,
                plans=self._plans,
                driver=self.driver,
                clock=self._clock,
            )
        finally:
            if not paused and (await self._history.find(execution)).status not in ENDED:
                await self.resume(execution)

    async def fork(self, execution: ExecutionId, change: Change) -> ExecutionId:
        """Begin an execution that takes over the facts of another, as far as they still hold.

        Raises `NotFound`, and as `state.fork.fork`.
        """
        row = await self._history.find(execution)
        plan = await self._plans.get(row.plan)
        new = self._entropy.execution_id()
        now = self._clock.now()
        allowed = None if self._allowed is None else await self._allowed(row.tenant)
        deadline = None if allowed is None else now + allowed
        forked = fork(plan, await self._store.read(execution), new, now, change, deadline)
        await self.driver.adopt(row.flow, forked)
        return new

    async def serve(self, hold: Hold) -> None:
        """Do what other processes ask about executions driven here. Raises `StoreError`."""
        letters = await self._store.mail.collect(hold.number)
        await asyncio.gather(*(self._serve(letter) for letter in letters))

    async def _serve(self, letter: Letter) -> None:
        asked, outcome = read(letter.body), Outcome()
        try:
            if not (letter.again and await self._done_before(letter.execution, asked)):
                await self._do(letter.execution, asked)
        except StrataError as error:
            outcome = outcome_of(error)
        await self._store.mail.settle(letter.number, write(outcome))

    async def _done_before(self, execution: ExecutionId, asked: Act) -> bool:
        """Whether who had begun to serve this letter came to do it before it ended."""
        if isinstance(asked, Pause):
            return (await self._history.find(execution)).status == "paused"
        return recorded(asked, (await self._history.journal(execution)).events)

    async def _do(self, execution: ExecutionId, asked: Act) -> None:
        match asked:
            case Answer(step, value, by, _):
                await self.driver.answer(execution, step, value, by)
            case Cancel(reason, by):
                await self.driver.cancel(execution, reason, by)
            case Pause():
                await self.driver.pause(execution)

    async def _ask(self, execution: ExecutionId, asked: Act) -> None:
        """Do it here, or have it done by the process that drives the execution."""
        if await self._at_work(execution):
            await self._do(execution, asked)
            return
        posted = await self._exact(execution, asked)
        letter = await self._store.mail.post(execution, write(posted))
        until, pause = asyncio.get_running_loop().time() + PATIENCE, FIRST
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST)
            said = await self._store.mail.outcome(letter)
            if said is not None:
                await self._store.mail.discard(letter)
                read_outcome(said).give()
                return
            late = asyncio.get_running_loop().time() > until
            if (late or await self._reachable(execution)) and await self._store.mail.withdraw(letter):
                break
            if late:
                await self._unsure(execution, posted)
                return
        if late:
            raise StoreUnavailable(
                f"the process that drives execution {execution} does not answer", hint="try again in a moment"
            )
        await self._ask(execution, asked)

    async def _exact(self, execution: ExecutionId, asked: Act) -> Act:
        """As it is posted: a journal must be able to say whether just this was done. Raises as `answered`."""
        if not isinstance(asked, Answer):
            return asked
        row = await self._history.find(execution)
        seen = await self.driver.snapshotter.bring_back(row, self._plans, self._store)
        answer = answered(seen.run, asked.step, asked.value, asked.by)
        return Answer(answer.step, answer.value, answer.by, seen.ledger.seq)

    async def _reachable(self, execution: ExecutionId) -> bool:
        """Whether it can be decided here by now: the execution has ended, or its process has."""
        if (await self._history.find(execution)).status in ENDED:
            return True
        return await self._at_work(execution)

    async def _unsure(self, execution: ExecutionId, asked: Act) -> None:
        """Nobody says what came of a letter that somebody took: the journal knows, or nobody does."""
        if not await self._done_before(execution, asked):
            raise StoreUnavailable(
                f"the process that drives execution {execution} does not answer: whether this was done "
                "is not known",
                hint=f"see its journal: strata show {execution}",
            )

    async def _at_work(self, execution: ExecutionId) -> bool:
        """Whether it is at work here, now at the latest; False where another process drives it.

        Raises `InvalidState` for one that has finished.
        """
        if self.driver.drives(execution):
            return True
        row: Execution = await self._history.find(execution)
        if row.status in ENDED:
            raise InvalidState(f"execution {execution} has finished: {row.status}")
        return await resume(execution, self._store, self._plans, self.driver, paused=True) or (
            self.driver.drives(execution)
        )
