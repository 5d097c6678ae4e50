"""The way of one request, on one page.

A flow comes in as text and becomes a plan; a request names a plan and brings an input; its
start is made durable; the driver takes it to its end; the outcome goes back. Everything
else is composed here from siblings that do not know each other. Must never know: HTTP,
SQL, any back-end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.agents.flow import FlowAgent
from stratarouter_runtime.controls import Controls
from stratarouter_runtime.deployments import Deployments
from stratarouter_runtime.errors import Conflict, InvalidState, NotFound
from stratarouter_runtime.executor.calls import Shell
from stratarouter_runtime.executor.driver import Driver
from stratarouter_runtime.executor.plans import Plans
from stratarouter_runtime.executor.recovery import Recovery, recover, resume
from stratarouter_runtime.history import History
from stratarouter_runtime.ids import LOCAL, AgentName, ExecutionId, FlowId, Tenant, derived_execution_id
from stratarouter_runtime.observability.fanout import Fanout
from stratarouter_runtime.observability.feed import Feed
from stratarouter_runtime.ports import ENDED, WITHDRAWN, Execution, Flows
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Started
from stratarouter_runtime.traces import NOWHERE, own_trace, parse

if TYPE_CHECKING:
    from stratarouter_runtime.agents.registry import Registry
    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.ports import Agent, AgentCall, Clock, Entropy, Observer, Scorer, Store
    from stratarouter_runtime.tcfp.plan import Plan


class StartExecution(Struct, frozen=True):
    """A request: which plan, on what, for whom, and within what. `timeout` is in microseconds.

    With a `key`, the same tenant and key always mean the same execution; an `id` is given
    where somebody else has derived it. `trace` and `span` are where in a distributed trace the
    request stands; whether that is recorded says `sampled`, or where it is None, the runtime.
    """

    plan: Plan
    input: Any
    flow: FlowId
    tenant: Tenant = LOCAL
    key: str | None = None
    id: ExecutionId | None = None
    seed: str | None = None
    timeout: int | None = None
    parent: ExecutionId | None = None
    trace: str = ""
    span: str = ""
    sampled: bool | None = None


def _never(_trace: str) -> bool:
    return False


class Runtime(Flows):
    """Accepts flows and executions, and answers what became of them.

    `sampler` decides by its id whether a trace is recorded, where nobody has decided it before.
    """

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        scorer: Scorer,
        observer: Observer,
        clock: Clock,
        entropy: Entropy,
        sampler: Callable[[str], bool] = _never,
    ) -> None:
        self._store = store
        self._sampler = sampler
        self._plans = Plans(store)
        self._clock = clock
        self._entropy = entropy
        self.flows = Deployments(store, self._plans, registry, scorer, clock)
        self.feed = Feed()
        self.driver = Driver(Shell(registry, self, scorer, clock), store, Fanout(observer, self.feed))
        self.history = History(store, self._plans, self.feed)
        self.controls = Controls(self.driver, store, self._plans, self.history, clock, entropy)

    # Flows called by flows.

    @override
    async def flow_agent(self, name: AgentName, digest: Digest) -> Agent | None:
        """The flow of this plan as an agent: a call of it is an execution of its own."""
        try:
            plan = await self._plans.get(digest)
        except NotFound:
            return None
        return FlowAgent(name, plan.signature, digest, partial(self._run_child, plan))

    async def _run_child(self, plan: Plan, child: ExecutionId, call: AgentCall) -> Execution:
        """Start the execution of a call, or attach to it, and wait for its end."""
        timeout = None if call.deadline is None else max(0, call.deadline - self._clock.now())
        trace = parse(call.trace) or NOWHERE
        request = StartExecution(
            plan=plan,
            input=call.input,
            flow=FlowId(plan.name),
            tenant=call.tenant,
            id=child,
            seed=call.seed,
            timeout=timeout,
            parent=call.execution,
            trace=trace.id,
            span=trace.span,
            sampled=trace.sampled,
        )
        try:
            await self.start(request)
            row = await self._ended(child)
        except asyncio.CancelledError as cancelled:
            if cancelled.args == (WITHDRAWN,):
                await self.start(request)  # where that was interrupted: what has begun must be found
                await self.controls.cancel(child, f"{call.execution} no longer wants it")
            raise
        except InvalidState as stopping:  # nothing is started while this process stops, which is no answer
            raise asyncio.CancelledError from stopping
        if row.status not in ENDED:  # this process is stopping: the call goes on when the caller does
            raise asyncio.CancelledError
        return row

    # Executions.

    async def start(self, request: StartExecution) -> ExecutionId:
        """Accept an execution: when this returns its start is durable, and it is at work.

        A caller who gives up does not stop what may be durable already from being set to work.
        Raises `InvalidInput`, `Conflict` where the key was used with another body, `StoreError`.
        """
        return await asyncio.shield(asyncio.create_task(self._start(request)))

    async def _start(self, request: StartExecution) -> ExecutionId:
        await self._plans.keep(request.plan)
        execution = self._id(request)
        try:
            await self.driver.start(request.plan, request.flow, self._started(execution, request))
        except Conflict:
            await self._attach(execution, request)
        return execution

    def _id(self, request: StartExecution) -> ExecutionId:
        if request.id is not None:
            return request.id
        if request.key is None:
            return self._entropy.execution_id()
        return derived_execution_id(request.tenant, request.key)

    def _started(self, execution: ExecutionId, request: StartExecution) -> Started:
        deadline = None if request.timeout is None else self._clock.now() + request.timeout
        sampled = request.sampled
        if sampled is None:
            sampled = self._sampler(request.trace or own_trace(execution))
        return Started(
            id=execution,
            plan=request.plan.digest,
            input=request.input,
            seed=request.seed or self._entropy.seed(),
            tenant=request.tenant,
            deadline=deadline,
            parent=request.parent,
            trace=request.trace or (own_trace(execution) if sampled else ""),
            span=request.span,
            sampled=sampled,
        )

    async def _attach(self, execution: ExecutionId, request: StartExecution) -> None:
        """The id is taken: by this very request, sent again, or by another."""
        started = decode((await self._store.read(execution))[0].body)
        assert isinstance(started, Started)
        if started.plan != request.plan.digest or started.input != request.input:
            raise Conflict(
                f"the key '{request.key}' was used for another request: {execution}",
                hint="use a new key for another flow or input",
            )
        # Whoever began it may have met a failing store: then it stands still until it is asked for.
        await resume(execution, self._store, self._plans, self.driver)

    async def wait(self, execution: ExecutionId, patience: float | None = None) -> Execution:
        """The execution once it has finished or stopped, or waits for an answer from outside.

        After `patience` seconds it is returned as it stands.
        """
        try:
            async with asyncio.timeout(patience):
                await self.driver.settled(execution)
        except TimeoutError:
            pass
        return await self.history.find(execution)

    async def execute(self, request: StartExecution, patience: float | None = None) -> Execution:
        """Start and wait."""
        return await self.wait(await self.start(request), patience)

    async def recover(self) -> Recovery:
        """Set all unfinished executions to work again."""
        return await recover(self._store, self._plans, self.driver)

    async def _ended(self, execution: ExecutionId) -> Execution:
        """The execution once it has ended, or stopped because this process does."""
        await resume(execution, self._store, self._plans, self.driver)
        await self.driver.ended(execution)
        return await self.history.find(execution)
