"""What the answers of executions rest on, as it is heard while they are driven: no journal is read for it.

Must never know: what becomes of answers.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeVar

from typing_extensions import override

from stratarouter_runtime.ports import Observer
from stratarouter_runtime.state.events import Finished
from stratarouter_runtime.state.provenance import MADE, Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.state.events import Record

T = TypeVar("T")

ENDED: Final = 10_000
"""Ends remembered; of older ones the journals tell."""

OPEN: Final = 100_000
"""Executions at work that are looked after: those that went on elsewhere are let go of in the end."""


class Ends(Observer):
    """Hears of the executions that this process drives."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[int, Provenance]] = OrderedDict()
        self._ended: OrderedDict[str, Provenance] = OrderedDict()

    def of(self, execution: ExecutionId) -> Provenance | None:
        """What the answer of an execution rests on that has ended; None where not all of it was heard here."""
        return self._ended.get(execution)

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        if not records:
            return
        heard, known = self._open.pop(execution.id, (0, MADE))
        if records[0].seq != heard:
            return  # others drove it meanwhile, or nobody told whether something had become durable
        for event in events:
            known = known.after(event)
        if isinstance(events[-1], Finished):
            _remember(self._ended, execution.id, known, ENDED)
        else:
            _remember(self._open, execution.id, (records[-1].seq + 1, known), OPEN)


def _remember(among: OrderedDict[str, T], execution: str, what: T, most: int) -> None:
    among[execution] = what
    if len(among) > most:
        among.popitem(last=False)
