"""What is under way for one execution: calls, scorings and timers.

Each ends in a fact, handed to `report`; what is withdrawn ends in none. Must never know:
why a command was given, or what a fact brings about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from stratarouter_runtime.executor.calls import call, score
from stratarouter_runtime.ports import WITHDRAWN
from stratarouter_runtime.state.commands import AwaitAnswer, CallAgent, ScoreRoutes, SetTimer, Withdraw, Write
from stratarouter_runtime.state.events import TimerFired

if TYPE_CHECKING:
    from stratarouter_runtime.executor.calls import Confirm, Shell
    from stratarouter_runtime.ids import StepPath
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.events import Event, Started

Report: TypeAlias = Callable[["Event | Exception | None"], None]
"""Told each fact; None where a call was given up, which is no fact: it is made again another time;
or the error because of which that has to be done by recovery."""


class Duties:
    """Carries out commands of one execution; `report` is told what comes of them."""

    def __init__(self, shell: Shell, started: Started, report: Report, confirm: Confirm) -> None:
        """`confirm` is asked again before a call begins that had to wait."""
        self._shell = shell
        self._started = started
        self._report = report
        self._confirm = confirm
        self._tasks: dict[StepPath, asyncio.Task[None]] = {}
        self._timers: dict[StepPath, dict[str, asyncio.TimerHandle]] = {}

    @property
    def calling(self) -> bool:
        """Whether an agent or the scorer has yet to answer."""
        return bool(self._tasks)

    def carry_out(self, command: Command) -> None:
        """Begin what the command asks for."""
        match command:
            case CallAgent() | ScoreRoutes():
                self._tasks[command.step] = asyncio.get_running_loop().create_task(self._work(command))
            case SetTimer():
                self._arm(command)
            case Withdraw():
                self._cancel(command.step, WITHDRAWN)
            case AwaitAnswer() | Write():
                pass

    def drop(self) -> None:
        """Interrupt everything: nothing is reported after this."""
        self._report = _to_nobody  # who listened holds this: without the cycle, both go when they are done
        for step in [*self._tasks, *self._timers]:
            self._cancel(step, None)

    async def _work(self, command: CallAgent | ScoreRoutes) -> None:
        event: Event | Exception | None = None
        try:
            if isinstance(command, CallAgent):
                event = await call(self._shell, self._started, command, self._confirm)
            else:
                event = await score(self._shell, self._started, command)
        except Exception as error:  # noqa: BLE001 - a mistake of this runtime must stop the execution, not hang it
            event = error
        finally:
            # A withdrawn call may still come to its end: what it says no longer matters.
            if self._tasks.get(command.step) is asyncio.current_task():
                del self._tasks[command.step]
                self._report(event)

    def _arm(self, timer: SetTimer) -> None:
        left = max(0, timer.at - self._shell.clock.now()) / 1_000_000
        handle = asyncio.get_running_loop().call_later(left, self._fire, timer)
        self._timers.setdefault(timer.step, {})[timer.timer] = handle

    def _fire(self, timer: SetTimer) -> None:
        # The clock of the loop and that of the journal may drift apart: the journal's counts.
        if self._shell.clock.now() < timer.at:
            self._arm(timer)
            return
        self._timers[timer.step].pop(timer.timer)
        self._report(TimerFired(timer.step, timer.timer, timer.attempt))

    def _cancel(self, step: StepPath, why: str | None) -> None:
        task = self._tasks.pop(step, None)
        if task is not None:
            task.cancel(why)
        for handle in self._timers.pop(step, {}).values():
            handle.cancel()


def _to_nobody(_: object) -> None:
    pass
