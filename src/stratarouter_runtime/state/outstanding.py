"""What the shell still owes a run: commands handed out and not yet answered by a fact.

Must never know: how commands are carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.state.commands import AwaitAnswer, CallAgent, ScoreRoutes, SetTimer, Withdraw, Write
from stratarouter_runtime.state.events import Answered, Failed, Interrupted, Returned, Scored, TimerFired

if TYPE_CHECKING:
    from stratarouter_runtime.ids import StepPath
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.events import Event


class Outstanding:
    """Commands by step and kind, in the order they were handed out."""

    def __init__(self) -> None:
        self._by_step: dict[StepPath, dict[str, Command]] = {}

    def note(self, command: Command) -> None:
        """A command was handed out; a withdrawal takes back all others of its step."""
        match command:
            case Withdraw():
                self._by_step.pop(command.step, None)
            case Write():
                pass
            case CallAgent() | ScoreRoutes() | AwaitAnswer():
                self._by_step.setdefault(command.step, {})["answer"] = command
            case SetTimer():
                self._by_step.setdefault(command.step, {})[command.timer] = command

    def settle(self, event: Event) -> None:
        """A fact arrived: what it answers is no longer owed."""
        match event:
            case Returned() | Failed() | Interrupted() | Scored() | Answered():
                self._settled(event.step, "answer")
            case TimerFired():
                self._settled(event.step, event.timer)
            case _:
                pass

    def _settled(self, step: StepPath, kind: str) -> None:
        owed = self._by_step.get(step)
        if owed is not None and owed.pop(kind, None) is not None and not owed:
            del self._by_step[step]

    def commands(self) -> list[Command]:
        """All that is owed."""
        return [command for owed in self._by_step.values() for command in owed.values()]
