"""Leases and letters as one process of a store in bad weather has them.

Must never know: why the weather changes, or what letters say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from typing_extensions import override

from stratarouter_runtime.sharing import Lease, Leases, Letter, Mail

if TYPE_CHECKING:
    from stratarouter_runtime.ids import ExecutionId

Through: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Has work done on the store that is kept, after a while, or fails it."""


class FaultyLeases(Leases):
    """`entered` are the leases that this process was given, also those whose answer got lost.

    `lost` counts how often it heard that one was taken which it had not left.
    """

    def __init__(self, kept: Leases, read: Through, write: Through) -> None:
        self._kept = kept
        self._read = read
        self._write = write
        self.entered: list[Lease] = []
        self.lost = 0

    @property
    @override
    def span(self) -> float | None:  # type: ignore[override]  # as it stands: a story changes it
        """How long leases hold in the store that is kept."""
        return self._kept.span

    @override
    async def enter(self) -> Lease:
        lease: Lease = await self._write(self._enter)
        return lease

    async def _enter(self) -> Lease:
        lease = await self._kept.enter()
        self.entered.append(lease)
        return lease

    @override
    async def keep(self, lease: Lease) -> bool:
        kept = bool(await self._write(partial(self._kept.keep, lease)))
        self.lost += not kept and lease in self.entered
        return kept

    @override
    async def leave(self, lease: Lease) -> None:
        await self._write(partial(self._kept.leave, lease))
        self.entered.remove(lease)

    @override
    async def expire(self) -> None:
        await self._write(self._kept.expire)

    @override
    async def holds(self, lease: Lease) -> bool:
        return bool(await self._read(partial(self._kept.holds, lease)))

    @override
    async def living(self) -> frozenset[Lease]:
        living: frozenset[Lease] = await self._read(self._kept.living)
        return living

    @override
    async def claim(self, lease: Lease, limit: int) -> list[ExecutionId]:
        claimed: list[ExecutionId] = await self._write(partial(self._kept.claim, lease, limit))
        return claimed

    @override
    async def take(self, lease: Lease, execution: ExecutionId) -> bool:
        return bool(await self._write(partial(self._kept.take, lease, execution)))

    @override
    async def held(self, lease: Lease) -> list[ExecutionId]:
        held: list[ExecutionId] = await self._read(partial(self._kept.held, lease))
        return held


class FaultyMail(Mail):
    """Letters that take their time."""

    def __init__(self, kept: Mail, read: Through, write: Through) -> None:
        self._kept = kept
        self._read = read
        self._write = write

    @override
    async def post(self, execution: ExecutionId, body: bytes) -> int:
        return int(await self._write(partial(self._kept.post, execution, body)))

    @override
    async def collect(self, lease: Lease) -> list[Letter]:
        letters: list[Letter] = await self._write(partial(self._kept.collect, lease))
        return letters

    @override
    async def settle(self, letter: int, outcome: bytes) -> None:
        await self._write(partial(self._kept.settle, letter, outcome))

    @override
    async def outcome(self, letter: int) -> bytes | None:
        outcome: bytes | None = await self._read(partial(self._kept.outcome, letter))
        return outcome

    @override
    async def withdraw(self, letter: int) -> bool:
        return bool(await self._write(partial(self._kept.withdraw, letter)))

    @override
    async def discard(self, letter: int) -> None:
        await self._write(partial(self._kept.discard, letter))
