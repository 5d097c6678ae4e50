"""What the answers of executions rest on, as it is heard while they are driven: no journal is read for it.

Must never know: what becomes of answers.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from stratarouter_runtime.ports import Observer
from stratarouter_runtime.state.events import Finished, Started
from stratarouter_runtime.state.provenance import MADE, Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import ExecutionId
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.state.events import Record

ENDED: Final = 10_000
"""Ends remembered; of older ones the journals tell."""

OPEN: Final = 100_000
"""Executions at work that are looked after: those that went on elsewhere are let go of in the end."""


class Ends(Observer):
    """Hears of the executions that this process drives."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Provenance] = OrderedDict()
        self._ended: OrderedDict[str, Provenance] = OrderedDict()

    def of(self, execution: ExecutionId) -> Provenance | None:
        """What the answer of an execution rests on that has ended; None where not all of it was heard here."""
        return self._ended.get(execution)

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        for event in events:
            if isinstance(event, Started):
                self._open[execution.id] = MADE
                if len(self._open) > OPEN:
                    self._open.popitem(last=False)
            elif isinstance(event, Finished):
                self._end(execution.id)
            elif (known := self._open.get(execution.id)) is not None:
                self._open[execution.id] = known.after(event)

    def _end(self, execution: str) -> None:
        known = self._open.pop(execution, None)
        if known is None:
            return
        self._ended[execution] = known
        if len(self._ended) > ENDED:
            self._ended.popitem(last=False)
