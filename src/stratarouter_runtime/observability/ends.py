"""Which executions came to their end without anything failing on the way.

An answer that a fall-back gave in place of what failed is good for who waited for it, and for nobody
later. Must never know: what becomes of answers.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from stratarouter_runtime.ports import Observer
from stratarouter_runtime.state.events import Failed, Finished, Started, TimerFired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.state.events import Record

ENDED: Final = 10_000
"""Ends remembered; of older ones the journals tell."""

OPEN: Final = 100_000
"""Executions at work that are looked after: those that went on elsewhere are let go of in the end."""


@dataclass(slots=True)
class _Way:
    """How far an execution has come; `parent` is the one that called it."""

    parent: str | None
    flawless: bool = True


class Ends(Observer):
    """Hears of the executions that this process drives."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Way] = OrderedDict()
        self._ended: OrderedDict[str, bool] = OrderedDict()

    def flawless(self, execution: ExecutionId) -> bool | None:
        """Whether nothing failed in an execution that has ended; None where not all of it was heard here.

        What failed in a flow that it called has failed in it as well.
        """
        return self._ended.get(execution)

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        for event in events:
            if isinstance(event, Started):
                self._begin(execution.id, event.parent)
            elif isinstance(event, Finished):
                self._end(execution.id)
            elif flaw(event):
                self._spoil(execution.id)

    def _begin(self, execution: str, parent: str | None) -> None:
        self._open[execution] = _Way(parent)
        if len(self._open) > OPEN:
            self._open.popitem(last=False)

    def _spoil(self, execution: str | None) -> None:
        while execution is not None and (way := self._open.get(execution)) is not None:
            way.flawless = False
            execution = way.parent

    def _end(self, execution: str) -> None:
        way = self._open.pop(execution, None)
        if way is None:
            return
        self._ended[execution] = way.flawless
        if len(self._ended) > ENDED:
            self._ended.popitem(last=False)


def flaw(event: object) -> bool:
    """Whether this fact says that something failed: an attempt, or its time."""
    return isinstance(event, Failed) or (
        isinstance(event, TimerFired) and event.timer in ("attempt", "limit")
    )
