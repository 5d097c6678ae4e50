"""What an answer rests on, as the facts of its execution tell: whether it may be given again, and how old it is.

Must never know: what becomes of answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from stratarouter_runtime.state.events import Event, Failed, Returned, TimerFired


class Provenance(Struct, frozen=True):
    """`whole` where nothing failed or was cut short on the way: what a fall-back says is for nobody later.

    `since` is when the oldest answer was made that it took over, in microseconds; 0 where it took over none.
    """

    whole: bool = True
    since: int = 0

    def after(self, event: object) -> Provenance:
        """With one fact more. An attempt that failed, or ran out of time, is a flaw though a retry mended it."""
        match event:
            case Returned(whole=True, since=0):
                return self
            case Failed() | TimerFired(timer="attempt" | "limit"):
                return Provenance(False, self.since)
            case Returned():
                return self.beside(Provenance(event.whole, event.since))
            case _:
                return self

    def beside(self, other: Provenance) -> Provenance:
        """Of what rests on both."""
        return Provenance(
            self.whole and other.whole, min(self.since or other.since, other.since or self.since)
        )


MADE: Final = Provenance()
"""Of an answer that was worked out anew."""


def provenance(events: Iterable[Event]) -> Provenance:
    """Of the answer of the execution that these facts are of."""
    found = MADE
    for event in events:
        found = found.after(event)
    return found
