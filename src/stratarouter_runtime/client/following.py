"""A stream of facts that goes on where it broke off.

Must never know: how the stream is read, or how long a pause is waited for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from stratarouter_runtime.client.answers import Fact
from stratarouter_runtime.client.errors import Refused, Unreachable
from stratarouter_runtime.client.executions import events
from stratarouter_runtime.client.talk import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    PASSING,
    TRIES,
    Heard,
    Lost,
    problem_of,
)

if TYPE_CHECKING:
    from stratarouter_runtime.client.talk import Call


class Following:
    """Where a follower of one execution stands."""

    def __init__(self, execution: str, after: int) -> None:
        self._execution = execution
        self._after = after
        self._vain = 0
        self.ended = False

    def call(self) -> Call:
        """The request for what has not been seen."""
        return events(self._execution, self._after)

    def refused(self, heard: Heard) -> float:
        """The stream did not begin; seconds to wait before asking again. Raises `Refused`."""
        if heard.status not in PASSING:
            raise Refused(problem_of(heard))
        return self.broken(Lost(f"status {heard.status}"))

    def heard(self, seq: str, kind: str, data: str) -> Fact:
        """One event of the stream, as a fact."""
        self._vain = 0
        self._after = int(seq)
        self.ended = kind == "finished"
        return Fact(self._after, kind, json.loads(data))

    def finish(self) -> None:
        """The server ended the stream in good order."""
        self.ended = True

    def broken(self, lost: Lost) -> float:
        """The stream broke; seconds to wait before asking again. Raises `Unreachable`."""
        self._vain += 1
        if self._vain == TRIES:
            raise Unreachable(f"the events of {self._execution}: {lost.reason}")
        return min(FIRST_PAUSE * 2.0**self._vain, LONGEST_PAUSE)
