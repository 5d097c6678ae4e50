"""What a story leaves behind, for whoever judges it: what clients were told, what is kept, what agents saw.

Must never know: how the story went, or what must be true of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from stratarouter_runtime.ids import Digest, ExecutionId, Tenant
from stratarouter_runtime.ports import Execution, Store
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.testing.faults import Finish, at_once
from stratarouter_runtime.testing.flows import Told, compiled
from stratarouter_runtime.testing.world import Called

if TYPE_CHECKING:
    from stratarouter_runtime.state.events import Record


class Outside(Protocol):
    """What agents saw: every call, and how often each reference was taken back."""

    @property
    def calls(self) -> list[Called]:
        """In their order."""
        ...

    @property
    def dropped(self) -> Counter[str]:
        """By reference."""
        ...


class Violation(Exception):
    """A promise was broken."""


class Accepted(Struct, frozen=True):
    """A client was told that this execution is accepted; `again` is what it was told before."""

    execution: ExecutionId
    told: Told
    n: int
    again: ExecutionId | None = None


class Drained(Struct, frozen=True):
    """A process stopped in good order, over a store that never failed it. Times in microseconds."""

    process: int
    began: int
    patience: int


class Paused(Struct, frozen=True):
    """A client was told that an execution stands still, and left it alone. Times in microseconds."""

    execution: ExecutionId
    began: int
    ended: int


class Reply(Struct, frozen=True):
    """What a client was told who asked for an answer, and not for an execution of its own.

    `limited` says that it gave only so much time.
    """

    told: Told
    n: int
    tenant: Tenant
    row: Execution
    limited: bool


class Evidence(Struct):
    """What a story leaves behind. `finish` runs a coroutine of the store `kept` to its end.

    `plans` are those that journals name; `excused` says that processes had reasons to lose their leases,
    `alone` that no two were at work, `reuses` that they gave answers that were known.
    """

    world: Outside
    kept: Store
    finish: Finish = at_once
    plans: Mapping[Digest, Plan] = field(default_factory=compiled)
    accepted: list[Accepted] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    answers: list[tuple[ExecutionId, str]] = field(default_factory=list)
    cancels: list[tuple[ExecutionId, str]] = field(default_factory=list)
    moves: list[tuple[ExecutionId, Digest]] = field(default_factory=list)
    pauses: list[Paused] = field(default_factory=list)
    ends: dict[ExecutionId, Execution] = field(default_factory=dict)
    drained: list[Drained] = field(default_factory=list)
    interruptions: dict[tuple[ExecutionId, int], float] = field(default_factory=dict)
    conflicts: int = 0
    trespasses: list[str] = field(default_factory=list)
    lost: int = 0
    excused: bool = True
    alone: bool = False
    reuses: bool = False

    def rows(self) -> list[Execution]:
        """Every execution, oldest first."""
        rows: list[Execution] = self.finish(self.kept.search(limit=1_000_000))
        return rows[::-1]

    def records(self, execution: ExecutionId) -> list[Record]:
        """The journal of an execution."""
        records: list[Record] = self.finish(self.kept.read(execution))
        return records
