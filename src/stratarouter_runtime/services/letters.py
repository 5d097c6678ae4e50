"""What one process asks of another about an execution, and what comes back; pure.

Must never know: how letters travel, or how anything is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from stratarouter_runtime.errors import (
    Conflict,
    InvalidInput,
    InvalidState,
    LeaseLost,
    LimitExceeded,
    NotFound,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StrataError,
)
from stratarouter_runtime.ids import StepPath
from stratarouter_runtime.state.events import Answered, CancelRequested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.state.events import Event


class Answer(Struct, frozen=True, tag="answer"):
    """Answer the question of a step.

    On its way `step` is the path and `value` in the form a journal keeps; `behind` is how many
    facts were known that may hold an earlier answer.
    """

    step: str
    value: Any
    by: str
    behind: int = 0


class Cancel(Struct, frozen=True, tag="cancel"):
    """Have the execution end."""

    reason: str
    by: str


class Pause(Struct, frozen=True, tag="pause"):
    """Stop it until it is resumed."""


Act: TypeAlias = Answer | Cancel | Pause
"""What one process asks another to do to an execution."""


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What came of it: done, or the error that it met."""

    code: str = ""
    message: str = ""
    hint: str | None = None
    pointer: str = ""

    def give(self) -> None:
        """Return where it was done; raise its error where it was not."""
        if self.code == InvalidInput.code:
            raise InvalidInput(self.message, pointer=self.pointer, hint=self.hint)
        if self.code:
            raise _KINDS.get(self.code, StrataError)(self.message, hint=self.hint)


_KINDS: Final[dict[str, type[StrataError]]] = {
    kind.code: kind
    for kind in (
        Conflict,
        InvalidState,
        LeaseLost,
        LimitExceeded,
        NotFound,
        StoreError,
        StoreFull,
        StoreUnavailable,
    )
}

_ACT: Final[msgspec.json.Decoder[Act]] = msgspec.json.Decoder(Act)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)


def write(letter: Act | Outcome) -> bytes:
    """As it travels."""
    return msgspec.json.encode(letter)


def read(body: bytes) -> Act:
    """What is asked."""
    return _ACT.decode(body)


def read_outcome(body: bytes) -> Outcome:
    """What came of it."""
    return _OUTCOME.decode(body)


def outcome_of(error: StrataError) -> Outcome:
    """An error on its way back."""
    return Outcome(error.code, error.message, error.hint, getattr(error, "pointer", ""))


def recorded(asked: Act, events: Sequence[Event]) -> bool:
    """Whether a journal says that just this was done, by the same person."""
    match asked:
        case Answer(step, value, by, behind):
            return Answered(StepPath(step), value, by) in events[behind:]
        case Cancel(reason=reason, by=by):
            return CancelRequested(reason, by) in events
        case Pause():
            return False
