"""Single calls of agents: looked up, shared in flight, made and kept.

Must never know: HTTP, SQL, or how an execution runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from stratarouter_runtime.batch.coalescer import moment
from stratarouter_runtime.cache.answers import LARGEST, Answer, answer_of, encode_output
from stratarouter_runtime.cache.front import Front, Held
from stratarouter_runtime.cache.policy import Wishes
from stratarouter_runtime.cache.questions import AGENT, of_call, typed
from stratarouter_runtime.cache.recall import Asked, Found, Question
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import Digest, ExecutionId
from stratarouter_runtime.ports import AgentCall, AgentReply
from stratarouter_runtime.services.samples import UNKEPT
from stratarouter_runtime.state.events import NO_USAGE, Reused
from stratarouter_runtime.tcfp.digests import cache_policy, call_key
from stratarouter_runtime.tcfp.values import Misfit, to_json

if TYPE_CHECKING:
    from stratarouter_runtime.batch.coalescer import Coalescer
    from stratarouter_runtime.cache.recall import Cache
    from stratarouter_runtime.ports import Clock
    from stratarouter_runtime.services.samples import Samples
    from stratarouter_runtime.services.settling import Settling
    from stratarouter_runtime.tcfp.plan import LinkedAgent

LIMIT: Final = "limit."
"""How the kinds of failures begin that are about what a caller may spend."""

RUNS: Final = 16 << 20
"""Bytes of answers remembered for the executions they were given in."""

Make: TypeAlias = Callable[[AgentCall], Awaitable[AgentReply]]


class Calls:
    """Answers calls from what is known, where the agent and the request allow it."""

    def __init__(
        self, cache: Cache, flights: Coalescer, clock: Clock, settling: Settling, samples: Samples
    ) -> None:
        self._cache = cache
        self._flights = flights
        self._clock = clock
        self._settling = settling
        self._samples = samples
        self._runs = Front(RUNS)

    async def call(
        self, agent: LinkedAgent, call: AgentCall, given: Digest, make: Make
    ) -> tuple[AgentReply, Reused | None]:
        """As `ports.Reuse.call`."""
        declared = cache_policy(agent.signature)
        if declared == "never" or agent.signature.effect != "pure":
            return await make(call), None
        if declared == "run":
            if call.fresh:
                return await make(call), None
            return await self._within_run(agent, call, given, make)
        space = AGENT + agent.name
        policy = await self._settling.policy(call.tenant, space, typed(agent), agent.signature, _wishes(call))
        if not isinstance(policy, str) and call.carries and not call.scope:
            policy = "personal"  # what carries a label is its user's, whatever the signature says
        if isinstance(policy, str):
            self._cache.ledger.bypass(call.tenant, space, policy)
            return await make(call), None
        question = of_call(agent, call, given, policy, await self._settling.edition(call.tenant))
        if not policy.read:
            self._cache.ledger.bypass(call.tenant, space, "request")
            return await self._anew(agent, call, question, make), None
        return await self._anywhere(agent, call, question, make)

    async def _anew(self, agent: LinkedAgent, call: AgentCall, question: Question, make: Make) -> AgentReply:
        """Made whatever is known, and kept in its place."""
        await self._cache.refresh()
        asked = self._cache.ask(question)
        reply = await make(call)
        await self._keep(asked, agent, reply, call.execution)
        return reply

    async def _anywhere(
        self, agent: LinkedAgent, call: AgentCall, question: Question, make: Make
    ) -> tuple[AgentReply, Reused | None]:
        """From any execution of the tenant: looked up, or shared in flight, or made and kept."""
        asked = self._cache.ask(question)
        looked = self._cache.at_hand(asked) or await self._cache.look(asked)
        if looked.found is not None:
            self._samples.take(looked, partial(self._sampled, agent, call, make))
            return _reply(looked.found), looked.found.told

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
        key = call_key(typed(agent), [call.execution, given, await self._settling.edition(call.tenant)])
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
        shared = await self._flights.share(flight, work, until=self._loop_time(call.deadline), copy=_copied)
        reply, source = shared.value
        if shared.led:
            return reply, None
        if reply.failure is not None and reply.failure.kind.startswith(LIMIT):
            return (await work())[0], None  # the leader's limits are not those of the others
        if question is not None:
            self._cache.ledger.count(question.tenant, question.space, "coalesced")
        return replace(reply, usage=NO_USAGE), Reused("coalesced", source, key)

    async def _keep(self, asked: Asked, agent: LinkedAgent, reply: AgentReply, source: ExecutionId) -> None:
        output = _output(agent, reply)
        if output is not None and asked.question.policy.keep:
            usage = reply.usage or NO_USAGE
            await self._cache.keep(asked, answer_of(output, usage), source, reply.since)

    def _loop_time(self, deadline: int | None) -> float | None:
        return moment(None if deadline is None else max(0, deadline - self._clock.now()))


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


def _of_run(call: AgentCall, key: Digest, answer: Answer, since: int) -> Held:
    """An answer that goes with its execution: nobody asks how old it is, but what rests on it may be kept."""
    return Held(call.tenant, key, "", "", call.execution, since, 0, (), answer)


def _reply(found: Found) -> AgentReply:
    held = found.held
    return AgentReply(msgspec.json.decode(held.answer.output), usage=NO_USAGE, since=held.created)


def _copied(made: tuple[AgentReply, ExecutionId]) -> tuple[AgentReply, ExecutionId]:
    """An answer of one's own: nobody else's changes are seen in it."""
    reply, source = made
    try:
        return replace(reply, output=msgspec.json.decode(msgspec.json.encode(reply.output))), source
    except (TypeError, ValueError):  # what is no JSON is refused where it is checked
        return made
