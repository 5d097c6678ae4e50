"""How processes share one store: leases, under which journals are written, and letters.

A lease belongs to a process. Its number comes with every write of a journal, so that a
process whose lease was taken changes nothing any more, whatever it had queued. An execution
is owned by the lease that drives it. Must never know: an implementation, or what letters say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NewType, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from stratarouter_runtime.ids import ExecutionId

Lease = NewType("Lease", int)
"""The number of a lease: drawn once, never again given to anybody."""

NOBODY: Final = Lease(0)
"""Who owns what no process drives. A write by nobody is not fenced: for tools that are alone with a store."""


class Leases(Protocol):
    """Who drives what. Raises `errors.StoreError` like a journal.

    `span` is how long a lease holds without being kept, in seconds; None where it holds until
    the next process enters: then a store has one process at a time.
    """

    span: float | None

    async def enter(self) -> Lease:
        """A new lease, which holds from now on."""
        ...

    async def keep(self, lease: Lease) -> bool:
        """Hold it for another `span`; False where it was taken: nothing is written under it any more."""
        ...

    async def leave(self, lease: Lease) -> None:
        """Give it up: what it owned is free for others at once."""
        ...

    async def expire(self) -> None:
        """Take the leases that have run out. What they had under way is decided when this returns."""
        ...

    async def holds(self, lease: Lease) -> bool:
        """Whether it is held: nobody has taken it, and its process did not give it up."""
        ...

    async def living(self) -> frozenset[Lease]:
        """All that are held."""
        ...

    async def claim(self, lease: Lease, limit: int) -> list[ExecutionId]:
        """Own up to `limit` executions that have not finished, are not paused, and that no lease owns.

        The oldest of an owner first, each given to one claimant only. Nothing for a lease that
        was taken itself.
        """
        ...

    async def take(self, lease: Lease, execution: ExecutionId) -> bool:
        """Own one execution, paused or not; False where another lease owns it, or it has finished."""
        ...

    async def held(self, lease: Lease) -> list[ExecutionId]:
        """What a lease owns that has not finished and is not paused."""
        ...


class Letter(Struct, frozen=True):
    """A request about an execution to whoever drives it. `again` where somebody had begun to serve it."""

    number: int
    execution: ExecutionId
    body: bytes
    again: bool


class Mail(Protocol):
    """Letters to the owners of executions, and what came of them. Raises `errors.StoreError`."""

    async def post(self, execution: ExecutionId, body: bytes) -> int:
        """Leave a letter; its number."""
        ...

    async def collect(self, lease: Lease) -> list[Letter]:
        """The letters about executions of this lease that it has not seen, in the order they came."""
        ...

    async def settle(self, letter: int, outcome: bytes) -> None:
        """Say what came of a letter."""
        ...

    async def outcome(self, letter: int) -> bytes | None:
        """What came of it, once that is said."""
        ...

    async def withdraw(self, letter: int) -> bool:
        """Take a letter back; False where somebody has seen it, and serves it or has."""
        ...

    async def discard(self, letter: int) -> None:
        """Take a letter away, its outcome too."""
        ...
