"""Streams of events that go on where they broke off.

Must never know: how a stream is read, or how long a pause is waited for.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
from typing_extensions import override

from stratarouter_runtime.api.models import ChangeEvent
from stratarouter_runtime.client.answers import Fact
from stratarouter_runtime.client.errors import Refused, Unreachable
from stratarouter_runtime.client.executions import events
from stratarouter_runtime.client.talk import PASSING, TRIES, Heard, Lost, pause, problem_of

if TYPE_CHECKING:
    from stratarouter_runtime.client.talk import Call

T = TypeVar("T")


class Stream(ABC, Generic[T]):
    """How often it was asked for in vain, and whether there is more to come."""

    def __init__(self, about: str) -> None:
        self._about = about
        self._vain = 0
        self.ended = False

    @abstractmethod
    def call(self) -> Call:
        """The request for what has not been heard."""

    @abstractmethod
    def heard(self, seq: str, kind: str, data: str) -> T | None:
        """One event of the stream; None for one that tells nothing of what was asked for."""

    @abstractmethod
    def finish(self) -> float:
        """The server ended the stream in good order; seconds to wait before asking for more."""

    def refused(self, heard: Heard) -> float:
        """The stream did not begin; seconds to wait before asking again. Raises `Refused`."""
        if heard.status not in PASSING:
            raise Refused(problem_of(heard))
        return self.broken(Lost(f"status {heard.status}"), heard.headers.get("retry-after", ""))

    def broken(self, lost: Lost, told: str = "") -> float:
        """The stream broke; seconds to wait before asking again, as the server may have `told`.

        Raises `Unreachable`.
        """
        self._vain += 1
        if self._vain == TRIES:
            raise Unreachable(f"the events of {self._about}: {lost.reason}")
        return pause(self._vain - 1, told)


class Following(Stream[Fact]):
    """Where a follower of one execution stands."""

    def __init__(self, execution: str, after: int) -> None:
        super().__init__(execution)
        self._execution = execution
        self._after = after

    @override
    def call(self) -> Call:
        """The request for what has not been seen."""
        return events(
            f"/api/v1/executions/{self._execution}/events", str(self._after) if self._after >= 0 else ""
        )

    @override
    def heard(self, seq: str, kind: str, data: str) -> Fact | None:
        """One event of the stream, as a fact; None for what an agent says in between, which is none."""
        self._vain = 0
        if kind == "partial":
            return None
        self._after = int(seq)
        self.ended = kind == "finished"
        return Fact(self._after, kind, json.loads(data))

    @override
    def finish(self) -> float:
        """The server ended the stream in good order: there is no more."""
        self.ended = True
        return 0.0


class Listening(Stream[ChangeEvent]):
    """Where a listener to all executions of a tenant stands: there is always more."""

    def __init__(self) -> None:
        super().__init__("the tenant")
        self._after = ""

    @override
    def call(self) -> Call:
        """The request for what comes next, or came while the stream was broken."""
        return events("/api/v1/events", self._after)

    @override
    def heard(self, seq: str, kind: str, data: str) -> ChangeEvent | None:
        """One event of the stream; None for word of changes that were missed."""
        self._vain, self._after = 0, seq or self._after
        return msgspec.json.decode(data, type=ChangeEvent) if kind == "execution" else None

    @override
    def finish(self) -> float:
        """The server ended the stream: it shuts down, and another one may take its place."""
        return self.broken(Lost("the server ended them"))
