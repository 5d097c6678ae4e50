"""What a snapshot holds, as plain records: the run as numbers, and where its journal stood.

Written as arrays, by position: a change of any of these is another `FORMAT`. Must never
know: plans, or how a run comes to this or is made of it.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.state.events import Failure, Started

FORMAT: Final = 1
"""Of these records; a snapshot of another format is not read."""

Indices: TypeAlias = tuple[int | str, ...]


class Head(Struct, frozen=True, array_like=True):
    """What every format begins with."""

    format: int


class UndoForm(Struct, frozen=True, array_like=True):
    """An undo; `env` are numbers of slot lists."""

    op: int
    env: tuple[int, ...]
    indices: Indices
    completed: int


class BranchesForm(Struct, frozen=True, array_like=True, tag="b"):
    """Of a fork or a race."""

    results: dict[str, Any]
    failures: list[Failure]


class RoundsForm(Struct, frozen=True, array_like=True, tag="r"):
    """Of a map."""

    items: list[Any]
    results: list[Any]
    opened: int
    done: int


class TurnsForm(Struct, frozen=True, array_like=True, tag="t"):
    """Of a loop."""

    state: Any
    env: tuple[int, ...]
    turn: int


class FlightForm(Struct, frozen=True, array_like=True, tag="f"):
    """Of a call; `agent` is its number in the plan."""

    agent: int
    input: Any
    digest: str
    placed: bool
    reserved: bool
    flying: bool
    doubtful: bool


class ScoringForm(Struct, frozen=True, array_like=True, tag="s"):
    """Of a route whose query is being compared."""

    query: str
    digest: str


class QuestionForm(Struct, frozen=True, array_like=True, tag="q"):
    """Of an ask."""

    until: int


MemoryForm: TypeAlias = BranchesForm | RoundsForm | TurnsForm | FlightForm | ScoringForm | QuestionForm


class WonForm(Struct, frozen=True, array_like=True, tag="won"):
    """What a race that unwinds its losers comes to."""

    value: Any


class LostForm(Struct, frozen=True, array_like=True, tag="lost"):
    """The failure with which a frame unwinds."""

    kind: str
    message: str
    data: Any
    step: str


class FrameForm(Struct, frozen=True, array_like=True):
    """A frame; `parent` and `scope` are numbers, -1 for none."""

    op: int
    parent: int
    role: str | int
    env: tuple[int, ...]
    indices: Indices
    scope: int
    phase: str
    attempt: int
    handled: bool
    final: bool
    outstanding: int
    live: bool
    asking: bool
    undos: list[UndoForm]
    undoing: UndoForm | None
    kept: list[UndoForm]
    outcome: WonForm | LostForm | None
    memory: MemoryForm | None


class ScopeForm(Struct, frozen=True, array_like=True):
    """An account; `owner` and `waiting` are numbers of frames, -1 for one that has ended."""

    owner: int
    outer: int
    deadline: int | None
    nanousd: int
    tokens: int
    steps: int
    running: int
    waiting: list[int]


class CallForm(Struct, frozen=True, array_like=True, tag="call"):
    """A call that is owed, with what it may spend: what is given to whom stands with the frame."""

    step: str
    attempt: int
    deadline: int | None
    usd: float | None = None
    tokens: int | None = None


class ScoreForm(Struct, frozen=True, array_like=True, tag="score"):
    """A comparison that is owed."""

    step: str
    attempt: int


class TimerForm(Struct, frozen=True, array_like=True, tag="timer"):
    """A timer that is owed."""

    step: str
    timer: Literal["attempt", "retry", "ask", "limit"]
    attempt: int
    at: int


class AwaitForm(Struct, frozen=True, array_like=True, tag="await"):
    """A question that is open."""

    step: str


OwedForm: TypeAlias = CallForm | ScoreForm | TimerForm | AwaitForm


class RunForm(Struct, frozen=True, array_like=True):
    """A run at rest, and its journal's position: `seq` is the number of the next record."""

    format: int
    plan: str
    seq: int
    at: int
    link: bytes
    started: Started
    now: int
    completed: int
    nanousd: int
    tokens_in: int
    tokens_out: int
    ms: float
    undo_failed: list[Failure]
    slots: list[list[Any]]
    frames: list[FrameForm]
    scopes: list[ScopeForm]
    owed: list[OwedForm]
