"""Reuse of answers, of whole flows and of single calls alike: looked up, shared in flight, kept.

Composes the cache and the coalescer. Must never know: HTTP, SQL, or how an execution runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime import ports
from stratarouter_runtime.cache.answers import LARGEST, Answer
from stratarouter_runtime.cache.front import Front, Held
from stratarouter_runtime.cache.gates import Refusal
from stratarouter_runtime.cache.policy import Defaults, Policy, Wishes, settle
from stratarouter_runtime.cache.questions import AGENT, FLOW, apart, of_call, space_of, typed
from stratarouter_runtime.cache.recall import Asked, Found, Looked, Question
from stratarouter_runtime.cache.terms import USUAL, Terms
from stratarouter_runtime.canonical import canonical
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import Digest, ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import AgentCall, AgentReply, Execution, Selection
from stratarouter_runtime.services.samples import Samples
from stratarouter_runtime.state.events import NO_USAGE, Reused, Usage, Wished
from stratarouter_runtime.tcfp.digests import cache_policy, call_key
from stratarouter_runtime.tcfp.values import Misfit, canonical_value, to_json

if TYPE_CHECKING:
    from stratarouter_runtime.batch.coalescer import Coalescer
    from stratarouter_runtime.cache.recall import Cache
    from stratarouter_runtime.cache.terms import TermsBook
    from stratarouter_runtime.ports import Clock
    from stratarouter_runtime.state.events import Given
    from stratarouter_runtime.tcfp.ir import Signature
    from stratarouter_runtime.tcfp.plan import LinkedAgent, Plan

LIMIT: Final = "limit."
"""How the kinds of failures begin that are about what a caller may spend."""

UNKEPT: Final = Wished(keep=False)
"""What a sample asks for."""

POLICIES: Final = 1_000
"""Policies remembered, by flow or agent and wishes."""

RUNS: Final = 16 << 20
"""Bytes of answers remembered for the executions they were given in."""


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


Make: TypeAlias = Callable[[AgentCall], Awaitable[AgentReply]]


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
        self._edition = edition
        self.cache = cache
        self.flights = coalescer
        self.defaults = defaults
        self._clock = clock
        self.terms = terms
        self._policies: dict[tuple[Digest, Wishes, Terms], Policy | str] = {}
        self._runs = Front(RUNS)
        self.samples = Samples(cache)

    # Whole flows.

    async def of_request(self, request: Request, wishes: Wishes) -> Question | str:
        """The question that a request for a flow is, or why nothing is reused.

        Raises `InvalidInput` where the input does not fit.
        """
        plan = request.plan
        terms = await self._terms(request.tenant, FLOW + request.flow)
        policy = self._policy(plan.digest, plan.signature, wishes, terms)
        if isinstance(policy, str):
            return policy
        try:
            form = canonical_value(plan.input.type, plan.input.project(request.input))
        except Misfit as misfit:
            message = f"the input does not fit {plan.name}: {misfit}"
            raise InvalidInput(message, pointer=misfit.pointer, hint=misfit.hint) from misfit
        drawn = {"edition": await self._of(request.tenant)}
        if request.seed is not None:
            drawn["seed"] = request.seed
        if request.routing is not None:  # how long it took, and how sure it was, decides nothing
            drawn["routing"] = request.routing.route_id
        space, call = FLOW + request.flow, call_key(plan.digest, [form, drawn])
        if not policy.semantic:
            return Question(request.tenant, space, policy, call, plan.digest)
        rest, texts = apart(form, policy.semantic)
        return Question(request.tenant, space, policy, call, plan.digest, [*rest, drawn], texts)

    async def _terms(self, tenant: Tenant, space: str) -> Terms:
        return USUAL if self.terms is None else await self.terms.of(tenant, space)

    def _policy(self, of: Digest, signature: Signature, wishes: Wishes, terms: Terms) -> Policy | str:
        """As `settle`, which looks at whole types: remembered for what has just been asked."""
        known = self._policies.get((of, wishes, terms))
        if known is None:
            if len(self._policies) >= POLICIES:
                self._policies.clear()
            known = self._policies[of, wishes, terms] = settle(signature, self.defaults, wishes, terms)
        return known

    async def _of(self, tenant: Tenant) -> str:
        return "" if self._edition is None else await self._edition(tenant)

    def under_way(self, question: Question) -> Looked | None:
        """The question as looked up in vain, where it is being answered now: that is younger than what is kept."""
        if self.cache.stale:
            return None
        asked = self.cache.ask(question)
        return Looked(asked) if asked.flight in self.flights else None

    def row(self, looked: Looked, request: Request) -> Execution:
        """A reused answer as an execution that took no time; its id is that of the one it comes from."""
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
            output=msgspec.json.decode(held.answer.output),
        )

    def verdict(self, looked: Looked, attended: ExecutionId | None = None) -> Verdict:
        """What reuse had to do with an answer; `attended` is the execution of another caller it comes from."""
        asked = looked.asked
        if looked.found is not None:
            return Verdict("hit", "", _reused(looked.found), asked.key, looked.refused)
        if attended is None:
            return Verdict("miss", "", None, asked.key, looked.refused)
        self.cache.ledger.count(asked.question.tenant, asked.question.space, "coalesced")
        reused = Reused("coalesced", attended, asked.key)
        return Verdict("miss", "", reused, asked.key, looked.refused, coalesced=True)

    async def keep_row(self, asked: Asked, row: Execution, since: int) -> None:
        """Keep the answer of an execution that has completed; it is as old as the oldest it took over (`since`)."""
        answer = _answer(encode_output(row.output), row.usage or NO_USAGE)
        await self.cache.keep(asked, answer, row.id, since)

    def until(self, timeout: int | None) -> float | None:
        """The moment of the loop at which so many microseconds are over."""
        return None if timeout is None else asyncio.get_running_loop().time() + timeout / 1_000_000

    # Calls of agents.

    @override
    async def call(
        self, agent: LinkedAgent, call: AgentCall, given: Digest, make: Make
    ) -> tuple[AgentReply, Reused | None]:
        declared = cache_policy(agent.signature)
        if declared == "never" or agent.signature.effect != "pure":
            return await make(call), None
        if declared == "run":
            if call.fresh:
                return await make(call), None
            return await self._within_run(agent, call, given, make)
        terms = await self._terms(call.tenant, AGENT + agent.name)
        policy = self._policy(typed(agent), agent.signature, _wishes(call), terms)
        if isinstance(policy, str) or (call.carries and not call.scope):
            return await make(call), None  # what carries a label is its user's, whatever the signature says
        question = of_call(agent, call, given, policy, await self._of(call.tenant))
        if not policy.read:
            return await self._anew(agent, call, question, make), None
        return await self._anywhere(agent, call, question, make)

    async def _anew(self, agent: LinkedAgent, call: AgentCall, question: Question, make: Make) -> AgentReply:
        """Made whatever is known, and kept in its place."""
        await self.cache.refresh()
        asked = self.cache.ask(question)
        reply = await make(call)
        await self._keep(asked, agent, reply, call.execution)
        return reply

    async def _anywhere(
        self, agent: LinkedAgent, call: AgentCall, question: Question, make: Make
    ) -> tuple[AgentReply, Reused | None]:
        """From any execution of the tenant: looked up, or shared in flight, or made and kept."""
        looked = self.cache.at_hand(question) or await self.cache.look(question)
        if looked.found is not None:
            self.samples.take(looked, partial(self._sampled, agent, call, make))
            return _reply(looked.found), _reused(looked.found)

        async def work() -> tuple[AgentReply, ExecutionId]:
            reply = await make(replace(call, deadline=None))  # the flight has the time of the longest
            await self._keep(looked.asked, agent, reply, call.execution)
            return reply, call.execution

        return await self._share(looked.asked.key, looked.asked.flight, question, call, work)

    async def _sampled(self, agent: LinkedAgent, call: AgentCall, make: Make) -> bytes | None:
        """What the agent says now: nothing within it may come from what is known, or be kept."""
        apart = replace(call, deadline=None, fresh=True, wished=UNKEPT)
        return _output(agent, await make(apart))

    async def _within_run(
        self, agent: LinkedAgent, call: AgentCall, given: Digest, make: Make
    ) -> tuple[AgentReply, Reused | None]:
        """From its own execution only. Without `stable` every step has a seed of its own, so nothing is equal."""
        if not agent.signature.stable:
            return await make(call), None
        key = call_key(typed(agent), [call.execution, given, await self._of(call.tenant)])
        known = self._runs.get(call.tenant, key)
        if known is not None:
            return _reply(Found("exact", known)), Reused("exact", call.execution, key)

        async def work() -> tuple[AgentReply, ExecutionId]:
            reply = await make(replace(call, deadline=None))
            output = _output(agent, reply)
            if output is not None and len(output) <= LARGEST:
                self._runs.put(_of_run(call, key, Answer(output), reply.since))
            return reply, call.execution

        return await self._share(key, key, None, call, work)

    async def _share(
        self,
        key: Digest,
        flight: str,
        question: Question | None,
        call: AgentCall,
        work: Callable[[], Awaitable[tuple[AgentReply, ExecutionId]]],
    ) -> tuple[AgentReply, Reused | None]:
        shared = await self.flights.share(flight, work, until=self._loop_time(call.deadline), copy=_copied)
        reply, source = shared.value
        if shared.led:
            return reply, None
        if reply.failure is not None and reply.failure.kind.startswith(LIMIT):
            return (await work())[0], None  # the leader's limits are not those of the others
        if question is not None:
            self.cache.ledger.count(question.tenant, question.space, "coalesced")
        return replace(reply, usage=NO_USAGE), Reused("coalesced", source, key)

    async def _keep(self, asked: Asked, agent: LinkedAgent, reply: AgentReply, source: ExecutionId) -> None:
        output = _output(agent, reply)
        if output is not None and asked.question.policy.keep:
            usage = reply.usage or NO_USAGE
            await self.cache.keep(asked, _answer(output, usage), source, reply.since)

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

    def _loop_time(self, deadline: int | None) -> float | None:
        if deadline is None:
            return None
        return self.until(max(0, deadline - self._clock.now()))


def _wishes(call: AgentCall) -> Wishes:
    """What the request that a call is made for asks of reuse."""
    if call.wished is None:
        return Wishes(read=not call.fresh, scope=call.scope)
    wished = call.wished
    return Wishes(
        not call.fresh, wished.keep, wished.max_age, wished.threshold, call.scope, tuple(wished.tags)
    )


def _output(agent: LinkedAgent, reply: AgentReply) -> bytes | None:
    """A finished, valid, whole answer as JSON; None for any other."""
    if reply.failure is not None or not reply.whole:
        return None
    try:
        return encode_output(to_json(agent.output.type, agent.output.project(reply.output)))
    except (Misfit, InvalidInput, TypeError, ValueError):
        return None


def encode_output(output: Any) -> bytes:
    """An output in its JSON form as bytes: equal outputs, equal bytes."""
    return canonical(output)


def _answer(output: bytes, usage: Usage) -> Answer:
    return Answer(output, usd=usage.usd, tokens=usage.tokens_in + usage.tokens_out, ms=usage.ms)


def _of_run(call: AgentCall, key: Digest, answer: Answer, since: int) -> Held:
    """An answer that goes with its execution: nobody asks how old it is, but what rests on it may be kept."""
    return Held(call.tenant, key, "", "", call.execution, since, 0, (), answer)


def _reply(found: Found) -> AgentReply:
    held = found.held
    return AgentReply(msgspec.json.decode(held.answer.output), usage=NO_USAGE, since=held.created)


def _reused(found: Found) -> Reused:
    return Reused(found.kind, found.held.source, found.held.key, found.similarity)


def _copied(made: tuple[AgentReply, ExecutionId]) -> tuple[AgentReply, ExecutionId]:
    """An answer of one's own: nobody else's changes are seen in it."""
    reply, source = made
    try:
        return replace(reply, output=msgspec.json.decode(msgspec.json.encode(reply.output))), source
    except (TypeError, ValueError):  # what is no JSON is refused where it is checked
        return made
