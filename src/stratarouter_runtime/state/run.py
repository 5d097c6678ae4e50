"""A run at one moment: what is active, what is bound, what was spent, what comes next.

A run is a tree of frames. A frame is one op at work: it has a phase, the attempt it is
at, the values in scope, and the undos that its completed steps left with it. What has to
be looked at next stands on the agenda, so deciding costs what an event changes and not
the size of the plan. Must never know: the rules by which any of this changes (they are
in `machine` and the files beside it), the clock, or who carries commands out.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct, field

from stratarouter_runtime.ids import StepPath
from stratarouter_runtime.tcfp.plan import Call, Route

if TYPE_CHECKING:
    from stratarouter_runtime.state.commands import Command
    from stratarouter_runtime.state.events import Failure, Finished, Started
    from stratarouter_runtime.tcfp.ir import Limits
    from stratarouter_runtime.tcfp.plan import Environment, Op, Plan, Value

Indices: TypeAlias = tuple[int | str, ...]
"""The rounds around an activation: numbers of `each` and `loop`, `1/do/0~2` for the second try of
the block at `1/do/0`. The block is named, since another around it may be tried again as well."""


class Phase(StrEnum):
    """Where a frame stands in its life; the rules are in `machine`."""

    RUNNING = "running"
    UNWINDING = "unwinding"
    BACKOFF = "backoff"
    HANDLING = "handling"
    DONE = "done"
    FAILED = "failed"
    HALTED = "halted"


class Undo(Struct, eq=False):
    """A promise left by a completed step: run this op, in this environment, if the block fails."""

    op: int
    env: Environment
    indices: Indices
    completed: int


class Won(Struct, eq=False):
    """How a race ends, once its losers are undone."""

    value: Value


class Scope(Struct, eq=False):
    """The account of one `limits`: what the frames below `owner` may still spend.

    Money is counted in whole nano-dollars, so that sums are exact. `deadline` is its own, in
    microseconds since the epoch. `waiting` are calls that wait for one of the `parallel`
    places, in the order they came. `chain` is the scope with those around it, the innermost first.
    """

    owner: Frame
    outer: Scope | None
    limits: Limits
    deadline: int | None
    nanousd: int = 0
    tokens: int = 0
    steps: int = 0
    running: int = 0
    waiting: deque[Frame] = field(default_factory=deque)
    chain: tuple[Scope, ...] = ()

    def __post_init__(self) -> None:
        self.chain = (self,) if self.outer is None else (self, *self.outer.chain)


class Frame(Struct, eq=False):
    """One op at work.

    `role` is what it is to its parent: a branch name, the number of a round, or `step`,
    `arm`, `handler`, `undo`. `scope` is the account its calls are charged to. `memory` is
    what its kind of op remembers between two facts. `outstanding` counts the commands under
    way for its path. `handled` says that its handler failed, `final` that another attempt
    cannot help. While it unwinds, `undos` are those still to be run, `undoing` the one at
    work, `kept` those that its parent gets, and `outcome` is what comes after.
    """

    op: Op
    parent: Frame | None
    role: str | int
    env: Environment
    indices: Indices
    path: StepPath
    scope: Scope | None
    phase: Phase = Phase.RUNNING
    attempt: int = 1
    handled: bool = False
    final: bool = False
    outstanding: int = 0
    children: dict[int, Frame] = {}
    undos: list[Undo] = []
    undoing: Undo | None = None
    kept: list[Undo] = []
    outcome: Failure | Won | None = None
    memory: Any = None

    @property
    def live(self) -> bool:
        """Whether facts may still change it."""
        return self.phase not in _ENDED


_ENDED = frozenset({Phase.DONE, Phase.FAILED, Phase.HALTED})


# The agenda: what to look at next. Each is one call in `decide`.


class Open(Struct, eq=False):
    """Make a frame for `op` below `parent`, and start it."""

    op: Op
    parent: Frame | None
    role: str | int
    env: Environment
    indices: Indices
    scope: Scope | None


class Begin(Struct, eq=False):
    """Start an attempt of a frame's body."""

    frame: Frame


class Dispatch(Struct, eq=False):
    """Make the call of a frame, as soon as there is a place for it."""

    frame: Frame


class Admit(Struct, eq=False):
    """Let those who wait for a place in a scope have their turn."""

    scope: Scope


class Succeed(Struct, eq=False):
    """The body, or the handler, of a frame came to a value."""

    frame: Frame
    value: Value


class Win(Struct, eq=False):
    """A branch of a race came first: undo the others, then succeed with `value`."""

    frame: Frame
    value: Value


class Fail(Struct, eq=False):
    """The body, or the handler, of a frame failed.

    `final` where another attempt cannot help: the guard failed, or the frame's own limit,
    which holds for all attempts together, was reached.
    """

    frame: Frame
    failure: Failure
    final: bool = False


Task: TypeAlias = Open | Begin | Succeed | Win | Fail


class Run(Struct, eq=False):
    """One execution of one plan, in memory.

    `now` is the time of the newest fact. `agenda` are the tasks put there since the last
    one was worked off; `outgoing` are calls to be made once nothing else is left to do, so
    that none is made and withdrawn at once. `live` are the frames that facts can reach, by
    path, and `asking` those of them that wait for a person.
    `completed` counts completed steps: the order in which undos are reversed.
    """

    plan: Plan
    started: Started
    now: int
    agenda: list[Task] = []
    outgoing: deque[Dispatch | Admit] = field(default_factory=deque)
    commands: list[Command] = []
    live: dict[StepPath, Frame] = {}
    asking: set[StepPath] = set()
    root: Frame | None = None
    completed: int = 0
    nanousd: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    ms: float = 0.0
    undo_failed: list[Failure] = []
    finished: Finished | None = None

    @property
    def waiting(self) -> bool:
        """Whether nothing but an answer from outside, or the end of its time, can move it on."""
        return bool(self.asking) and not any(
            frame.phase is Phase.BACKOFF
            or (isinstance(frame.op.does, Call | Route) and path not in self.asking)
            for path, frame in self.live.items()
        )


def inner_indices(frame: Frame) -> Indices:
    """The rounds around what a frame opens: another try of a block counts as one more."""
    return frame.indices if frame.attempt == 1 else (*frame.indices, f"{frame.op.path}~{frame.attempt}")


def path_of(op: Op, indices: Indices) -> StepPath:
    """The path of an activation: where its op stands, and in which rounds."""
    if not indices:
        return StepPath(op.path)
    return StepPath(f"{op.path}[{','.join(map(str, indices))}]")
