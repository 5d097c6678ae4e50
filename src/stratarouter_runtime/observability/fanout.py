"""Several observers as one; what one of them raises reaches nobody.

Must never know: what observers do with what they hear.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.ports import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.state.events import Record

_LOG: Final = logging.getLogger(__name__)


class FanoutStats(Struct, frozen=True):
    """What observers did that they should not."""

    failures: int


class Fanout(Observer):
    """Tells each observer in turn. Observers may be added and removed while facts come in."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        self._failures = 0

    def stats(self) -> FanoutStats:
        """How often one of them failed."""
        return FanoutStats(self._failures)

    def add(self, observer: Observer) -> None:
        """Let one more hear of what happens from now on."""
        self._observers = (*self._observers, observer)

    def remove(self, observer: Observer) -> None:
        """Tell this one nothing more."""
        self._observers = tuple(each for each in self._observers if each is not observer)

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        for observer in self._observers:
            try:
                observer.recorded(execution, records, events)
            except Exception:  # noqa: BLE001 - an observer cannot fail a run
                self._failures += 1
                _LOG.exception("an observer failed on execution %s", execution.id)
