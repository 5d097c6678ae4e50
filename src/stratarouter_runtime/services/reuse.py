"""Reuse of answers, of whole flows and of single calls alike: looked up, shared in flight, kept.

Composes the cache and the coalescer. Must never know: HTTP, SQL, or how an execution runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime import ports
from stratarouter_runtime.cache.answers import answer_of, encode_output
from stratarouter_runtime.cache.gates import Refusal
from stratarouter_runtime.cache.questions import FLOW, apart, space_of
from stratarouter_runtime.cache.recall import Asked, Looked, Question
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import AgentCall, AgentReply, Execution, Selection
from stratarouter_runtime.services.calls import Calls, Make
from stratarouter_runtime.services.samples import Samples
from stratarouter_runtime.services.settling import Settling
from stratarouter_runtime.state.events import NO_USAGE, Reused
from stratarouter_runtime.tcfp.digests import call_key
from stratarouter_runtime.tcfp.values import Misfit, canonical_value

if TYPE_CHECKING:
    from stratarouter_runtime.batch.coalescer import Coalescer
    from stratarouter_runtime.cache.book import TermsBook
    from stratarouter_runtime.cache.policy import Defaults, Wishes
    from stratarouter_runtime.cache.recall import Cache
    from stratarouter_runtime.ports import Clock
    from stratarouter_runtime.state.events import Given
    from stratarouter_runtime.tcfp.plan import LinkedAgent, Plan


class Request(Protocol):
    """What reuse has to know of a request for a flow."""

    @property
    def plan(self) -> Plan:
        """What is to be executed."""
        ...

    @property
    def input(self) -> Any:
        """On what, not yet checked."""
        ...

    @property
    def flow(self) -> FlowId:
        """Under which name."""
        ...

    @property
    def tenant(self) -> Tenant:
        """For whom."""
        ...

    @property
    def routing(self) -> Given | None:
        """The decision that came along."""
        ...

    @property
    def seed(self) -> str | None:
        """From which seed, where the caller chose one."""
        ...


class Verdict(Struct, frozen=True):
    """What reuse had to do with an answer, as it is told to whoever asked.

    `why` says why nothing was looked up, where the outcome is `bypass`.
    """

    outcome: Literal["hit", "miss", "bypass"] = "bypass"
    why: str = ""
    reused: Reused | None = None
    key: str = ""
    refused: tuple[Refusal, ...] = ()
    coalesced: bool = False


class Reuse(ports.Reuse):
    """Answers from what is known. `close` it when done."""

    def __init__(
        self,
        cache: Cache,
        coalescer: Coalescer,
        clock: Clock,
        defaults: Defaults,
        edition: Callable[[Tenant], Awaitable[str]] | None = None,
        terms: TermsBook | None = None,
    ) -> None:
        """`terms` are what tenants say of the reuse of their flows. `edition` names what decides besides plans.

        That are a tenant's routing rules, and what its agents may be: another edition, other keys.
        """
        self.cache = cache
        self.flights = coalescer
        self.terms = terms
        self.settling = Settling(defaults, terms, edition)
        self.samples = Samples(cache)
        self._clock = clock
        self._calls = Calls(cache, coalescer, clock, self.settling, self.samples)

    # Whole flows.

    async def of_request(self, request: Request, wishes: Wishes) -> Question | str:
        """The question that a request for a flow is, or why nothing is reused.

        Raises `InvalidInput` where the input does not fit.
        """
        plan, space = request.plan, FLOW + request.flow
        policy = await self.settling.policy(request.tenant, space, plan.digest, plan.signature, wishes)
        if isinstance(policy, str):
            return policy
        try:
            form = canonical_value(plan.input.type, plan.input.project(request.input))
        except Misfit as misfit:
            message = f"the input does not fit {plan.name}: {misfit}"
            raise InvalidInput(message, pointer=misfit.pointer, hint=misfit.hint) from misfit
        drawn = {"edition": await self.settling.edition(request.tenant)}
        if request.seed is not None:
            drawn["seed"] = request.seed
        if request.routing is not None:  # how long it took, and how sure it was, decides nothing
            drawn["routing"] = request.routing.route_id
        call = call_key(plan.digest, [form, drawn])
        if not policy.semantic:
            return Question(request.tenant, space, policy, call, plan.digest)
        rest, texts = apart(form, policy.semantic)
        return Question(request.tenant, space, policy, call, plan.digest, [*rest, drawn], texts)

    def under_way(self, asked: Asked) -> Looked | None:
        """The question as looked up in vain, where it is being answered now: that is younger than what is kept."""
        return Looked(asked) if asked.flight in self.flights and not self.cache.stale else None

    def row(self, looked: Looked, request: Request) -> Execution:
        """A reused answer as an execution that took no time; its id is that of the one it comes from.

        Its output is `msgspec.Raw`: JSON, to be sent on as it is or decoded by whoever wants to look at it.
        """
        assert looked.found is not None
        held, now = looked.found.held, self._clock.now()
        return Execution(
            id=held.source,
            tenant=request.tenant,
            flow=request.flow,
            plan=request.plan.digest,
            status="completed",
            created=now,
            updated=now,
            records=0,
            output=msgspec.Raw(held.answer.output),
        )

    def verdict(self, looked: Looked, attended: ExecutionId | None = None) -> Verdict:
        """What reuse had to do with an answer; `attended` is the execution of another caller it comes from."""
        asked = looked.asked
        if looked.found is not None:
            return Verdict("hit", "", looked.found.told, asked.key, looked.refused)
        if attended is None:
            return Verdict("miss", "", None, asked.key, looked.refused)
        self.cache.ledger.count(asked.question.tenant, asked.question.space, "coalesced")
        reused = Reused("coalesced", attended, asked.key)
        return Verdict("miss", "", reused, asked.key, looked.refused, coalesced=True)

    async def keep_row(self, asked: Asked, row: Execution, since: int) -> None:
        """Keep the answer of an execution that has completed; it is as old as the oldest it took over (`since`)."""
        answer = answer_of(encode_output(row.output), row.usage or NO_USAGE)
        await self.cache.keep(asked, answer, row.id, since)

    # Calls of agents.

    @override
    async def call(
        self, agent: LinkedAgent, call: AgentCall, given: Digest, make: Make
    ) -> tuple[AgentReply, Reused | None]:
        return await self._calls.call(agent, call, given, make)

    # Forgetting.

    async def invalidate(
        self, tenant: Tenant, name: str, tag: str | None, older: int | None, *, dry_run: bool = False
    ) -> int:
        """Forget what is kept of a flow (or of `agent:NAME`), with a tag, older than so many seconds; how much.

        Raises `StoreError`.
        """
        space = space_of(name)
        before = None if older is None else self._clock.now() - older * 1_000_000
        return await self.cache.forget(Selection(tenant, space, tag, before), dry_run=dry_run)

    async def wrong(
        self, tenant: Tenant, *, source: ExecutionId | None = None, key: Digest | None = None
    ) -> int:
        """A reused answer was wrong: it goes, by its key or the execution it came from; how many did.

        Each counts against its space. Raises `StoreError`.
        """
        return await self.cache.wrong(tenant, source=source, key=key)

    async def close(self) -> None:
        """Let what is kept arrive in the store; samples are given up."""
        await self.samples.close()
        await self.cache.close()
