"""Several observers as one; what one of them raises reaches nobody.

Must never know: what observers do with what they hear.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from stratarouter_runtime.ports import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.state.events import Record

_LOG: Final = logging.getLogger(__name__)


class Fanout(Observer):
    """Tells each observer in turn. Observers may be added and removed while facts come in."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        """Let one more hear of what happens from now on."""
        self._observers.append(observer)

    def remove(self, observer: Observer) -> None:
        """Tell this one nothing more."""
        self._observers.remove(observer)

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        for observer in tuple(self._observers):
            try:
                observer.recorded(execution, records, events)
            except Exception:  # noqa: BLE001 - an observer cannot fail a run
                _LOG.exception("an observer failed on execution %s", execution.id)
