"""A request answered from what is known, together with an equal one that is under way, or anew.

Must never know: HTTP, SQL, any back-end; how an execution is started or driven.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from msgspec.structs import replace

from stratarouter_runtime.batch.coalescer import ELECTIONS, moment
from stratarouter_runtime.cache.answers import encode_output
from stratarouter_runtime.cache.policy import NO_WISHES
from stratarouter_runtime.cache.questions import FLOW
from stratarouter_runtime.services.calls import LIMIT
from stratarouter_runtime.services.reuse import Request, Verdict
from stratarouter_runtime.services.samples import UNKEPT
from stratarouter_runtime.state.events import Returned

if TYPE_CHECKING:
    from stratarouter_runtime.cache.policy import Wishes
    from stratarouter_runtime.cache.recall import Asked, Looked
    from stratarouter_runtime.ids import ExecutionId, Tenant
    from stratarouter_runtime.ports import Execution
    from stratarouter_runtime.services.history import History
    from stratarouter_runtime.services.origins import Origins
    from stratarouter_runtime.services.reuse import Reuse
    from stratarouter_runtime.state.events import Wished


class Keyed(Request, Protocol):
    """A request as it is sent. With a `key` it stands for one execution of its own."""

    @property
    def key(self) -> str | None:
        """The caller's idempotency key."""
        ...

    @property
    def timeout(self) -> int | None:
        """In microseconds."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether no earlier answer will do."""
        ...

    @property
    def scope(self) -> str:
        """The user it is made for, as far as answers are reused."""
        ...

    @property
    def wished(self) -> Wished | None:
        """What else it asks of the answers that its calls reuse."""
        ...


R = TypeVar("R", bound=Keyed)
C_contra = TypeVar("C_contra", bound=Keyed, contravariant=True)


class Executing(Protocol[C_contra]):
    """What starts executions and waits for them."""

    async def start(self, request: C_contra) -> ExecutionId:
        """Accept an execution."""
        ...

    async def wait(self, execution: ExecutionId, patience: float | None = None) -> Execution:
        """The execution once it moves on by itself no more."""
        ...


class Answering(Generic[R]):
    """Answers requests. Without `reuse` each is executed."""

    def __init__(
        self, executing: Executing[R], history: History, reuse: Reuse | None, origins: Origins
    ) -> None:
        self._executing = executing
        self._history = history
        self._reuse = reuse
        self._origins = origins

    async def answer(self, request: R, wishes: Wishes, patience: float | None) -> tuple[Execution, Verdict]:
        """The execution that the answer comes from, and how it was come by. Raises as `Runtime.answer`."""
        reuse = self._reuse
        if reuse is None or request.key is not None:
            why = "off" if reuse is None else "key"
            return await self._execute(_wishing(request, wishes), patience), self._bypass(request, why)
        question = await reuse.of_request(request, wishes)
        if isinstance(question, str):
            return await self._execute(_wishing(request, wishes), patience), self._bypass(request, question)
        if not question.policy.read:
            await reuse.cache.refresh()
            asked = reuse.cache.ask(question)
            row = await self._execute(_wishing(request, wishes), patience)
            await self._keep(reuse, asked, row)
            return row, self._bypass(request, "request")
        asked = reuse.cache.ask(question)
        looked = reuse.cache.at_hand(asked) or reuse.under_way(asked)
        if looked is None:
            looked = await reuse.cache.look(asked)
        if looked.found is not None:
            reuse.samples.take(looked, partial(self._anew, request, wishes))
            return reuse.row(looked, request), reuse.verdict(looked)
        return await self._together(reuse, _wishing(request, wishes), looked, patience)

    def _bypass(self, request: R, why: str) -> Verdict:
        if self._reuse is not None:
            self._reuse.cache.ledger.bypass(request.tenant, FLOW + request.flow, why)
        return Verdict(why=why)

    async def wrong(self, tenant: Tenant, execution: ExecutionId) -> None:
        """A reused answer was wrong: forget it, whether the execution gave it away or took it over."""
        if self._reuse is None:
            return
        await self._reuse.wrong(tenant, source=execution)
        for event in (await self._history.journal(execution, tenant)).events:
            if isinstance(event, Returned) and event.reused is not None:
                await self._reuse.wrong(tenant, key=event.reused.key)

    async def _together(
        self, reuse: Reuse, request: R, looked: Looked, patience: float | None
    ) -> tuple[Execution, Verdict]:
        """Start an execution, or attend one of the same question that is under way."""
        kept = False

        async def keep(row: Execution) -> None:
            nonlocal kept
            if not kept:  # by whoever comes first: the flight, or the caller who began it
                kept = True
                await self._keep(reuse, looked.asked, row)

        async def end(execution: ExecutionId) -> None:
            await keep(await self._executing.wait(execution))

        for elections in count():
            begin = partial(self._executing.start, request)
            until = moment(request.timeout)
            shared = await reuse.flights.attend(looked.asked.flight, begin, end, until=until)
            row = await self._executing.wait(shared.value, patience)
            if shared.led and row.status == "completed":
                await keep(row)
            if shared.led or not _own(row) or elections == ELECTIONS:
                return row, reuse.verdict(looked, None if shared.led else row.id)
        raise AssertionError("the last election was answered")

    async def _keep(self, reuse: Reuse, asked: Asked, row: Execution) -> None:
        """Keep the answer of an execution, unless something failed on the way: its fall-back is not for others."""
        if row.status == "completed" and asked.question.policy.keep:
            origin = await self._origins.of(row.id, row.tenant)
            if origin.whole:
                await reuse.keep_row(asked, row, origin.since)

    async def _anew(self, request: R, wishes: Wishes) -> bytes | None:
        """Work an answer out beside one that was reused, to compare them."""
        apart = _changed(_wishing(request, wishes), fresh=True, id=None, shadow=True, wished=UNKEPT)
        row = await self._execute(apart, None)
        return encode_output(row.output) if row.status == "completed" else None

    async def _execute(self, request: R, patience: float | None) -> Execution:
        return await self._executing.wait(await self._executing.start(request), patience)


def _own(row: Execution) -> bool:
    """Whether it ended as it did for who began it alone: was cancelled, or came to a limit of theirs."""
    limited = row.failure is not None and row.failure.kind.startswith(LIMIT)
    return row.status in {"cancelled", "timed_out"} or limited


def _wishing(request: R, wishes: Wishes) -> R:
    """The request as it is executed: what it wishes holds for the calls within it too."""
    if wishes is NO_WISHES:
        return request
    told = (wishes.scope, request.fresh or not wishes.read, wishes.wished)
    if told == (request.scope, request.fresh, request.wished):
        return request
    return _changed(request, scope=told[0], fresh=told[1], wished=told[2])


def _changed(request: R, **changes: Any) -> R:
    """The request, a frozen record, with these fields otherwise."""
    return replace(request, **changes)  # type: ignore[type-var]  # a protocol cannot say that it is a Struct
