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
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.agents.flow import FlowAgent
from stratarouter_runtime.cache.policy import NO_WISHES
from stratarouter_runtime.errors import Conflict, LeaseLost, NotFound
from stratarouter_runtime.executor.calls import Shell
from stratarouter_runtime.executor.driver import Driver
from stratarouter_runtime.executor.plans import Plans
from stratarouter_runtime.executor.recovery import Recovery, recover
from stratarouter_runtime.executor.snapshots import Snapshotter, Snapshotting
from stratarouter_runtime.ids import LOCAL, AgentName, ExecutionId, Tenant, derived_execution_id
from stratarouter_runtime.limits.policy import admission
from stratarouter_runtime.observability.ends import Ends
from stratarouter_runtime.observability.feed import Feed
from stratarouter_runtime.observability.news import News
from stratarouter_runtime.observability.partials import PartialTexts
from stratarouter_runtime.ports import Execution, Flows
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.services.answering import Answering
from stratarouter_runtime.services.batches import Batches, Holders
from stratarouter_runtime.services.controls import Controls
from stratarouter_runtime.services.deployments import Deployments
from stratarouter_runtime.services.feedback import Feedback
from stratarouter_runtime.services.history import History
from stratarouter_runtime.services.origins import Origins
from stratarouter_runtime.services.subflows import Subflows
from stratarouter_runtime.services.upkeep import Upkeep
from stratarouter_runtime.services.waiting import Waiting
from stratarouter_runtime.sharing import Lease
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Started
from stratarouter_runtime.tenancy.windows import SECOND
from stratarouter_runtime.traces import own_trace

if TYPE_CHECKING:
    from stratarouter_runtime.agents.registry import Registry
    from stratarouter_runtime.agents.roster import Roster
    from stratarouter_runtime.cache.policy import Wishes
    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.limits.gate import Gate
    from stratarouter_runtime.observability.fanout import Fanout
    from stratarouter_runtime.ports import Agent, Clock, Entropy, Policies, Scorer, Store
    from stratarouter_runtime.services.items import Job, Wanted
    from stratarouter_runtime.services.reuse import Reuse, Verdict
    from stratarouter_runtime.services.routers import Routers


class Runtime(Flows):
    """Accepts flows and executions, and answers what became of them.

    It adds what it is made of to `observers`. `sampler` decides by its id whether a trace is recorded,
    where nobody has decided it before; None records none.
    """

    def __init__(  # noqa: PLR0913 - every seam once
        self,
        *,
        store: Store,
        registry: Registry,
        scorer: Scorer,
        observers: Fanout,
        clock: Clock,
        entropy: Entropy,
        sampler: Callable[[str], bool] | None = None,
        reuse: Reuse | None = None,
        routers: Routers | None = None,
        roster: Roster | None = None,
        partials: PartialTexts | None = None,
        gate: Gate | None = None,
        policies: Policies | None = None,
        snapshotting: Snapshotting = Snapshotting(),  # noqa: B008 - frozen
    ) -> None:
        self._store = store
        self._sampler = sampler
        self._gate = gate
        self.reuse = reuse
        self.routers = routers
        self.roster = roster
        self.partials = partials or PartialTexts()
        self._plans = Plans(store)
        self._clock = clock
        self._entropy = entropy
        self.flows = Deployments(store, self._plans, registry, scorer, clock, routers, roster, policies)
        self.feed = Feed()
        self.news = News()
        self._ends = Ends()
        for observer in (self.feed, self.news, self._ends, *([gate] if gate else [])):
            observers.add(observer)
        self.driver = Driver(
            Shell(registry, self, scorer, clock, reuse, routers, policies),
            store,
            store.leases,
            observers,
            Snapshotter(store.snapshots, clock, snapshotting),
            gate.create if gate else None,
        )
        self.history = History(store, self._plans, self.feed)
        allowed = gate.time if gate else None
        self.controls = Controls(self.driver, store, self._plans, self.history, clock, entropy, allowed)
        self._waiting = Waiting(self.driver, store, self._plans, self.history)
        self._subflows = Subflows(self.start, self._waiting.ended, self.controls.cancel, clock)
        self._origins = Origins(self._ends, self.history)
        self._answering = Answering[StartExecution](self, self.history, reuse, self._origins)
        self.feedback = Feedback(store.shelf, clock, self._answering.wrong)
        self.batches = Batches(
            store.shelf,
            self._plans,
            clock,
            self._item,
            self._equal,
            store.find,
            self.controls.cancel,
            Holders(self._lease, lambda lease: store.leases.holds(Lease(lease))),
        )

    # Flows called by flows.

    @override
    async def flow_agent(self, name: AgentName, digest: Digest, tenant: Tenant = LOCAL) -> Agent | None:
        """The flow of this plan, of which a call is an execution of its own; or a registered agent."""
        try:
            plan = await self._plans.get(digest)
        except NotFound:
            return None if self.roster is None else await self.roster.version(tenant, name, digest)
        return FlowAgent(
            name, plan.signature, digest, partial(self._subflows.run, plan), plan.limits, self._origins.of
        )

    # Executions.

    async def start(self, request: StartExecution) -> ExecutionId:
        """Accept an execution: when this returns its start is durable, and it is at work.

        Raises as `begin`.
        """
        return (await self.begin(request))[0]

    async def begin(self, request: StartExecution) -> tuple[ExecutionId, bool]:
        """Like `start`, and whether it has begun now: this very request may have begun it before.

        A caller who gives up does not stop what may be durable already from being set to work.
        Raises `InvalidInput`, `Conflict` where the key was used with another body, `StoreError`.
        """
        await self._plans.keep(request.plan)
        execution = self._id(request)
        try:
            await self._admitted(execution, request)
        except Conflict:
            await asyncio.shield(asyncio.create_task(self._attach(execution, request)))
            return execution, False
        return execution, True

    async def _admitted(self, execution: ExecutionId, request: StartExecution) -> None:
        """Begin the execution as soon as the tier of its tenant lets it."""
        if self._gate is None:
            await self._begin(execution, request, None)
            return
        tier = await self._gate.tier(request.tenant)
        self._gate.check_plan(tier, request.plan.bound.steps)
        begin = partial(self._begin, execution, request, tier.seconds, free=admission(tier) is None)
        if request.shadow or request.parent:
            with self._gate.free(execution):
                await begin()
        else:
            await self._gate.through(execution, request.tenant, request.queue, begin)

    async def _begin(
        self, execution: ExecutionId, request: StartExecution, seconds: int | None, *, free: bool = True
    ) -> None:
        """Begin it now. `free` says that no limit stands in its way."""
        started = self._started(execution, request, seconds)
        ahead = free and request.key is None and request.id is None
        try:
            await self.driver.start(request.plan, request.flow, started, ahead=ahead)
        except LeaseLost:  # nothing was written: under a lease of now it will be
            await self.driver.start(request.plan, request.flow, started, ahead=ahead)

    def _id(self, request: StartExecution) -> ExecutionId:
        if request.key is not None and request.id is None:
            return derived_execution_id(request.tenant, request.key)
        return request.id or self._entropy.execution_id()

    def _started(self, execution: ExecutionId, request: StartExecution, seconds: int | None) -> Started:
        """The first fact. `seconds` is what the tier allows: an execution asks for more in vain."""
        allowed = None if seconds is None else seconds * SECOND
        times = [each for each in (request.timeout, allowed) if each is not None]
        deadline = self._clock.now() + min(times) if times else None
        trace, sampled = self._traced(execution, request)
        return Started(
            id=execution,
            plan=request.plan.digest,
            input=request.input,
            seed=request.seed or self._entropy.seed(),
            tenant=request.tenant,
            deadline=deadline,
            parent=request.parent,
            budget=request.budget,
            trace=trace,
            span=request.span,
            sampled=sampled,
            routing=request.routing,
            scope=request.scope,
            fresh=request.fresh,
            wished=request.wished,
            tags=request.tags,
            allowed=request.allowed,
        )

    def _traced(self, execution: ExecutionId, request: StartExecution) -> tuple[str, bool]:
        """The trace it belongs to, empty where it is nobody's and not recorded; and whether it is."""
        if request.sampled is None and self._sampler is not None:
            trace = request.trace or own_trace(execution)
            sampled = self._sampler(trace)
            return (trace if sampled else request.trace), sampled
        sampled = bool(request.sampled)
        return request.trace or (own_trace(execution) if sampled else ""), sampled

    async def _attach(self, execution: ExecutionId, request: StartExecution) -> None:
        """The id is taken: by this very request, sent again, or by another."""
        started = decode((await self._store.read(execution))[0].body)
        assert isinstance(started, Started)
        if (started.plan, started.input, started.routing) != (
            request.plan.digest,
            request.input,
            request.routing,
        ):
            raise Conflict(
                f"the key '{request.key}' was used for another request: {execution}",
                hint="use a new key for another flow or input",
            )
        # Whoever began it may have met a failing store: then it stands still until it is asked for.
        await self._waiting.resume(execution)

    async def wait(self, execution: ExecutionId, patience: float | None = None) -> Execution:
        """The execution once it has finished or stopped, or waits for an answer from outside.

        After `patience` seconds it is returned as it stands.
        """
        return await self._waiting.settled(execution, patience)

    async def execute(self, request: StartExecution, patience: float | None = None) -> Execution:
        """Start and wait."""
        return await self.wait(await self.start(request), patience)

    async def answer(
        self, request: StartExecution, wishes: Wishes = NO_WISHES, patience: float | None = None
    ) -> tuple[Execution, Verdict]:
        """Like `execute`, but from what is known where the flow and the request allow it.

        Then nothing is started, the execution told is the one that the answer comes from, and its output
        is `msgspec.Raw`, JSON that nobody has to decode who only sends it on. Raises `InvalidInput` and as `start`.
        """
        return await self._answering.answer(request, wishes, patience)

    async def _lease(self) -> int:
        return (await self.driver.hold()).number

    async def _equal(self, tenant: Tenant, item: Wanted, wishes: Wishes) -> str | None:
        """Under what an item of a batch shares its execution: as its request would with others at the same time."""
        if self.reuse is None:
            return None
        request = StartExecution(await self._plans.get(item.plan), item.input, item.flow, tenant)
        question = await self.reuse.of_request(request, wishes)
        if isinstance(question, str) or not question.policy.read:
            return None
        return self.reuse.cache.ask(question).key

    async def _item(self, job: Job) -> tuple[Execution, bool]:
        """Execute one item of a batch; whether its answer is another's."""
        request = StartExecution(
            plan=await self._plans.get(job.item.plan),
            input=job.item.input,
            flow=job.item.flow,
            tenant=job.tenant,
            id=job.id,
            timeout=job.timeout,
            queue=None,
        )
        row, verdict = await self.answer(request, job.wishes)
        if isinstance(row.output, msgspec.Raw):
            row = replace(row, output=msgspec.json.decode(row.output))
        return row, verdict.reused is not None

    async def recover(self) -> Recovery:
        """Set all to work again that stands still, and go on with batches that have not ended."""
        recovered = await recover(self._store, self._plans, self.driver)
        await self.batches.resume()
        return recovered

    def upkeep(self, *, claiming: bool) -> Upkeep:
        """What keeps the executions of this process at work; `claiming`, those that others left too."""
        taken = self.batches.resume  # whoever left executions may have left batches too
        return Upkeep(self._store, self._plans, self.driver, self.controls, taken, claiming=claiming)
