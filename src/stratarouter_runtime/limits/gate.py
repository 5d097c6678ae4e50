"""The way of executions and requests into the store under a tier, each tenant in a line of its own.

Executions that flows call are part of the execution that called them: they are never counted, and never
wait, or those at work would wait for themselves. Must never know: what an execution does.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.errors import ExceedsTier, QuotaExceeded
from stratarouter_runtime.limits.policy import admission, check_requests
from stratarouter_runtime.limits.usage import Report, report, totals
from stratarouter_runtime.ports import ENDED, Observer
from stratarouter_runtime.tenancy.windows import CONCURRENT, SECOND, SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from stratarouter_runtime.ids import ExecutionId, FlowId, Tenant
    from stratarouter_runtime.limits.tiers import Tiers
    from stratarouter_runtime.ports import Clock, Execution, Store
    from stratarouter_runtime.sharing import Lease
    from stratarouter_runtime.state.events import Record
    from stratarouter_runtime.tenancy.quotas import Spent, Tier, Totals

T = TypeVar("T")

LINE: Final = 100
"""Executions of one tenant that may wait their turn at once, in one process."""

REMEMBERED: Final = 1_000
"""Executions of which it is known how long they waited: those that waited last."""

LOOK: Final = 0.25
"""Seconds between looks whether another process has let one of the tenant's executions end."""


class Stats(Struct, frozen=True):
    """What became of those who came: requests and executions refused, by policy; and who waits now."""

    refused: dict[str, int]
    waiting: int


@dataclass(slots=True)
class _Line:
    """Who waits for an execution of a tenant to end: one looks, the others wait behind it in order."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0


class Gate(Observer):
    """Holds tenants to their tiers. It hears of facts, so as to know when an execution has ended."""

    def __init__(self, store: Store, tiers: Tiers, clock: Clock) -> None:
        self._store = store
        self._tiers = tiers
        self._clock = clock
        self._lines: dict[Tenant, _Line] = {}
        self._refused: dict[str, int] = {}
        self._free: set[ExecutionId] = set()
        self._waited: dict[ExecutionId, float] = {}

    async def tier(self, tenant: Tenant) -> Tier:
        """What the tenant may use."""
        return await self._tiers.of(tenant)

    async def time(self, tenant: Tenant) -> int | None:
        """How many microseconds an execution of the tenant may take; None where that is not limited."""
        seconds = (await self._tiers.of(tenant)).seconds
        return None if seconds is None else seconds * SECOND

    async def report(self, tenant: Tenant) -> Report:
        """What a tenant has used, and what its executions came to."""
        return await report(self._store, self._tiers, tenant, self._clock.now())

    async def totals(self, tenant: Tenant, flow: FlowId) -> tuple[Totals, Totals]:
        """What the executions of one flow came to, today and ever."""
        return await totals(self._store, tenant, self._clock.now(), flow)

    def stats(self) -> Stats:
        """Figures since this process began."""
        return Stats(dict(self._refused), sum(line.waiting for line in self._lines.values()))

    # Executions.

    async def create(self, execution: Execution, records: Sequence[Record], lease: Lease) -> bool:
        """Begin an execution like `Journal.create`, under the tier of its tenant.

        Raises `QuotaExceeded` where it may not begin now: then nothing is written.
        """
        held_to = admission(await self._tiers.of(execution.tenant))
        if held_to is None or execution.id in self._free:
            return await self._store.create(execution, records, lease)
        return await self._store.quotas.create(execution, records, lease, held_to)

    @contextmanager
    def free(self, execution: ExecutionId) -> Iterator[None]:
        """Within it this execution begins without counting: another one called for it, or nobody did."""
        self._free.add(execution)
        try:
            yield
        finally:
            self._free.discard(execution)

    def waited(self, execution: ExecutionId) -> float:
        """Seconds that one of the last executions to begin here has waited its turn; 0 for any other."""
        return self._waited.get(execution, 0.0)

    async def through(
        self,
        execution: ExecutionId,
        tenant: Tenant,
        patience: float | None,
        begin: Callable[[], Awaitable[T]],
    ) -> T:
        """What `begin` gives, called when it is its turn; a tenant's executions begin in order.

        Waits while as many are under way as may be: `patience` seconds, or as long as it takes. Raises
        `QuotaExceeded` after that, at once where the line is full, and whatever else `begin` raises.
        """
        if tenant not in self._lines:
            try:
                return await begin()
            except QuotaExceeded as refused:
                if refused.policy != CONCURRENT or patience == 0:
                    self._count(refused.policy)
                    raise
        line = self._lines.setdefault(tenant, _Line())
        if line.waiting >= LINE:
            self._count(CONCURRENT)
            raise _full(tenant)
        line.waiting += 1
        came = _now()
        try:
            begun = await self._wait(line, tenant, patience, begin)
        except QuotaExceeded as refused:
            self._count(refused.policy)
            raise
        else:
            self._remember(execution, _now() - came)
            return begun
        finally:
            line.waiting -= 1
            if line.waiting == 0:
                self._lines.pop(tenant, None)

    def _remember(self, execution: ExecutionId, seconds: float) -> None:
        self._waited[execution] = seconds
        if len(self._waited) > REMEMBERED:
            del self._waited[next(iter(self._waited))]

    async def _wait(
        self, line: _Line, tenant: Tenant, patience: float | None, begin: Callable[[], Awaitable[T]]
    ) -> T:
        until = None if patience is None else _now() + patience
        try:
            async with asyncio.timeout(patience):
                await line.turn.acquire()
        except TimeoutError:
            raise _late(tenant) from None
        try:
            while True:
                line.freed.clear()
                try:
                    return await begin()
                except QuotaExceeded as refused:
                    if refused.policy != CONCURRENT or (until is not None and _now() >= until):
                        raise
                left = LOOK if until is None else min(LOOK, max(0.0, until - _now()))
                await _within(left, line.freed)
        finally:
            line.turn.release()

    def check_plan(self, tier: Tier, steps: int) -> None:
        """Refuse a plan that may take more steps than the tier allows. Raises `ExceedsTier`."""
        if tier.steps is not None and steps > tier.steps:
            self._count("steps")
            raise ExceedsTier(
                f"the flow may take {steps} steps, and an execution may take {tier.steps}",
                hint="bound its rounds (limits, max), or divide it into flows that it calls",
            )

    @override
    def recorded(self, execution: Execution, records: Sequence[Record], events: Sequence[object]) -> None:
        line = self._lines.get(execution.tenant)
        if line is not None and execution.status in ENDED:
            line.freed.set()

    # Requests.

    async def request(self, tenant: Tenant) -> tuple[Spent, int] | None:
        """Count a request: what is left, and the limit; None where the tier has none.

        `Spent.allowed` says whether it may be answered; `refuse` raises for one that may not.
        """
        limit = (await self._tiers.of(tenant)).requests
        if limit is None:
            return None
        spent = await self._store.quotas.spend(tenant, limit, self._clock.now())
        return spent, limit

    def refuse(self, tenant: Tenant, spent: Spent, limit: int) -> None:
        """Raise `QuotaExceeded` for a request beyond the limit."""
        try:
            check_requests(tenant, spent, limit)
        except QuotaExceeded as refused:
            self._count(refused.policy)
            raise

    def _count(self, policy: str) -> None:
        self._refused[policy] = self._refused.get(policy, 0) + 1


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _full(tenant: Tenant) -> QuotaExceeded:
    return QuotaExceeded(
        f"{LINE} executions of tenant '{tenant}' wait for one to end already",
        policy=CONCURRENT,
        retry_after=SOON,
        hint="send fewer at once",
    )


def _late(tenant: Tenant) -> QuotaExceeded:
    return QuotaExceeded(
        f"no execution of tenant '{tenant}' ended in time for this one to begin",
        policy=CONCURRENT,
        retry_after=SOON,
        hint="wait until one has ended, or for longer: options.queue_seconds",
    )
