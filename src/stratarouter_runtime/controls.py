"""What can be done to an execution from outside: answer, cancel, pause, resume, fork.

Must never know: HTTP, SQL, any back-end; how an execution was started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stratarouter_runtime.errors import InvalidState
from stratarouter_runtime.executor.recovery import resume
from stratarouter_runtime.ports import ENDED
from stratarouter_runtime.state.fork import Change, fork

if TYPE_CHECKING:
    from stratarouter_runtime.executor.driver import Driver
    from stratarouter_runtime.executor.plans import Plans
    from stratarouter_runtime.history import History
    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Clock, Entropy, Journal


class Controls:
    """Acts on executions, at work or not: who is asked about one that stands still sets it to work."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        plans: Plans,
        history: History,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self.driver = driver
        self._store = journal
        self._plans = plans
        self._history = history
        self._clock = clock
        self._entropy = entropy

    async def answer(self, execution: ExecutionId, step: str, value: Any, by: str = "") -> None:
        """Answer a question; returns once the answer is durable. Raises as `Driver.answer`."""
        await self._at_work(execution)
        await self.driver.answer(execution, step, value, by)

    async def cancel(self, execution: ExecutionId, reason: str = "", by: str = "") -> None:
        """Have an execution end, undoing what it completed; returns once that is durable."""
        await self._at_work(execution)
        await self.driver.cancel(execution, reason, by)

    async def pause(self, execution: ExecutionId) -> None:
        """Stop an execution until it is resumed; returns once that is durable. Raises as `Driver.pause`."""
        await self._at_work(execution)
        await self.driver.pause(execution)

    async def resume(self, execution: ExecutionId) -> None:
        """Set one unfinished execution to work again. Raises `InvalidState` for one that finished."""
        await self._at_work(execution)

    async def fork(self, execution: ExecutionId, change: Change) -> ExecutionId:
        """Begin an execution that takes over the facts of another, as far as they still hold.

        Raises `NotFound`, and as `state.fork.fork`.
        """
        row = await self._history.find(execution)
        plan = await self._plans.get(row.plan)
        new = self._entropy.execution_id()
        forked = fork(plan, await self._store.read(execution), new, self._clock.now(), change)
        await self.driver.adopt(row.flow, forked)
        return new

    async def _at_work(self, execution: ExecutionId) -> None:
        if execution in self.driver.active:
            return
        row = await self._history.find(execution)
        if row.status in ENDED:
            raise InvalidState(f"execution {execution} has finished: {row.status}")
        await resume(execution, self._store, self._plans, self.driver)
