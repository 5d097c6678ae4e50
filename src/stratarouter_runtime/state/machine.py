"""The life of a frame, as one table: which happening leads from which phase to which.

Every change of a phase in the runtime is a row here; `move` refuses all others. The
diagram in ARCHITECTURE.md is generated from this table. Must never know: what a frame
does in a phase, or why a happening came about.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from stratarouter_runtime.state.run import Phase

if TYPE_CHECKING:
    from stratarouter_runtime.state.run import Frame


class Happening(StrEnum):
    """What can happen to a frame."""

    SUCCEED = "succeed"
    """Its body, or its handler, came to a value."""
    FAIL = "fail"
    """Its body, or its handler, failed: first undo what was completed below it."""
    WIN = "win"
    """A race has its winner: first undo what the losers completed."""
    RETRY = "retry"
    """All is undone, and another attempt is allowed."""
    RESUME = "resume"
    """The wait before the next attempt is over."""
    HANDLE = "handle"
    """All is undone, and a handler catches the failure."""
    ESCAPE = "escape"
    """All is undone, and nobody here catches the failure."""
    HALT = "halt"
    """Something around it ended it."""


TRANSITIONS: Final[dict[tuple[Phase, Happening], Phase]] = {
    (Phase.RUNNING, Happening.SUCCEED): Phase.DONE,
    (Phase.RUNNING, Happening.WIN): Phase.UNWINDING,
    (Phase.RUNNING, Happening.FAIL): Phase.UNWINDING,
    (Phase.RUNNING, Happening.HALT): Phase.HALTED,
    (Phase.UNWINDING, Happening.SUCCEED): Phase.DONE,
    (Phase.UNWINDING, Happening.RETRY): Phase.BACKOFF,
    (Phase.UNWINDING, Happening.HANDLE): Phase.HANDLING,
    (Phase.UNWINDING, Happening.ESCAPE): Phase.FAILED,
    (Phase.UNWINDING, Happening.HALT): Phase.HALTED,
    (Phase.BACKOFF, Happening.RESUME): Phase.RUNNING,
    (Phase.BACKOFF, Happening.FAIL): Phase.UNWINDING,
    (Phase.BACKOFF, Happening.HALT): Phase.HALTED,
    (Phase.HANDLING, Happening.SUCCEED): Phase.DONE,
    (Phase.HANDLING, Happening.FAIL): Phase.UNWINDING,
    (Phase.HANDLING, Happening.HALT): Phase.HALTED,
}


class IllegalTransition(Exception):
    """A row that the table does not have: a mistake in the runtime itself."""


def move(frame: Frame, happening: Happening) -> None:
    """Bring a frame to its next phase, or refuse."""
    phase = TRANSITIONS.get((frame.phase, happening))
    if phase is None:
        raise IllegalTransition(f"{frame.path or 'the flow'}: no way from {frame.phase} by {happening}")
    frame.phase = phase
