"""A batch: what was submitted, as it is kept, and what has become of its items, as it is told.

Must never know: stores, queues, or how an item is executed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.cache.policy import Wishes
from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant, derived_execution_id
from stratarouter_runtime.ports import ENDED

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Execution

State: TypeAlias = Literal[
    "queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out", "refused"
]


class Wanted(Struct, frozen=True):
    """An item: which flow, as which plan, on what."""

    flow: FlowId
    plan: Digest
    input: Any


class Refused(Struct, frozen=True):
    """An item that was not taken, and why."""

    code: str
    message: str
    pointer: str = ""


class Kept(Struct, frozen=True, omit_defaults=True):
    """A batch as it is kept. `items` holds what was submitted, in order, refusals among it.

    `leads` says which item works out the answer of each: its own, or an equal one. `holder` is the lease
    of the process that is at work on it. `ended` has the execution that each answer comes from, once there
    is nothing more to do.
    """

    items: tuple[Wanted | None, ...]
    refused: dict[int, Refused]
    created: int
    wishes: Wishes = Wishes()
    timeout: int | None = None
    cancelled: bool = False
    ended: tuple[str, ...] | None = None
    leads: tuple[int, ...] = ()
    holder: int = 0


class Job(Struct, frozen=True):
    """One item to be executed under this id."""

    id: ExecutionId
    tenant: Tenant
    item: Wanted
    wishes: Wishes
    timeout: int | None


class Outcome(Struct, frozen=True):
    """What became of an item so far. `shared` where another item, or an earlier answer, answered it."""

    state: State
    execution: ExecutionId | None = None
    row: Execution | None = None
    refused: Refused | None = None
    shared: bool = False

    @property
    def moving(self) -> bool:
        """Whether it goes on by itself."""
        return self.state in ("queued", "running")

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDED or self.state == "refused"


class Progress(Struct, frozen=True):
    """A batch as it stands: what became of its items, in the order in which they were submitted."""

    id: str
    created: int
    cancelled: bool
    outcomes: tuple[Outcome, ...]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return all(each.over for each in self.outcomes)


@dataclass(slots=True, eq=False)
class Batch:
    """A batch and the outcomes of its items; `version` is that of its document, `looked` when it was read."""

    id: str
    tenant: Tenant
    kept: Kept
    version: int
    looked: int = 0
    at_work: bool = False
    """Whether this process works it off."""
    outcomes: list[Outcome] = field(default_factory=list)
    followers: dict[int, list[int]] = field(default_factory=dict)
    trying: dict[ExecutionId, asyncio.Task[Outcome]] = field(default_factory=dict)
    """What executes its items, or waits for their turn, by the executions that are their own."""
    moving: int = 0
    """How many of its items go on by themselves."""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        """Every item waits, or was refused."""
        for index, item in enumerate(self.kept.items):
            taken = item is not None
            self.outcomes.append(
                Outcome("queued" if taken else "refused", refused=self.kept.refused.get(index))
            )
            self.moving += taken
            if (leader := self.leader(index)) != index:
                self.followers.setdefault(leader, []).append(index)

    def leader(self, index: int) -> int:
        """The item that works out the answer of this one."""
        return self.kept.leads[index] if self.kept.leads else index

    def execution(self, index: int) -> ExecutionId:
        """The execution of an item of its own: found again whenever the batch is gone on with."""
        return derived_execution_id(self.tenant, f"batch\0{self.id}\0{index}")

    def put(self, index: int, outcome: Outcome) -> None:
        """What became of one item."""
        self.moving += outcome.moving - self.outcomes[index].moving
        self.outcomes[index] = outcome

    def tell(self, index: int, outcome: Outcome) -> None:
        """What became of an item, and of those equal to it."""
        self.put(index, outcome)
        for other in self.followers.get(index, ()):
            if self.outcomes[other].state != "cancelled":
                self.put(other, replace(outcome, shared=True))

    def cancel(self) -> list[ExecutionId]:
        """Nothing that has not begun begins any more; the executions that are its own and have not ended."""
        self.kept = replace(self.kept, cancelled=True)
        for index, outcome in enumerate(self.outcomes):
            if outcome.state == "queued" and outcome.execution is None:
                self.put(index, Outcome("cancelled"))
        own = [each for each in self.outcomes if not (each.over or each.shared)]
        return [each.execution for each in own if each.execution is not None]


def decode(body: bytes) -> Kept:
    """A batch as it was kept."""
    return msgspec.json.decode(body, type=Kept)
