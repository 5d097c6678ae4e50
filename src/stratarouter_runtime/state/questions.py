"""The questions of an execution that nobody has answered yet, from its facts.

Must never know: who answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stratarouter_runtime.state.events import Answered, Asked, TimerFired

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stratarouter_runtime.ids import StepPath
    from stratarouter_runtime.state.events import Event


def open_questions(events: Iterable[Event]) -> list[Asked]:
    """What still waits for an answer, in the order in which it was asked."""
    asked: dict[StepPath, Asked] = {}
    for event in events:
        if isinstance(event, Asked):
            asked[event.step] = event
        elif isinstance(event, Answered | TimerFired):
            asked.pop(event.step, None)
    return list(asked.values())
