"""One call of an agent, or of the scorer, from command to fact.

What an agent says is checked against its signature here, before it is journaled; whatever
goes wrong becomes a failure. Must never know: journals, or what the fact brings about.
"""

from __future__ import annotations

import asyncio
from math import isfinite
from typing import TYPE_CHECKING, Final, TypeAlias

from blake3 import blake3
from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.canonical import MAX_INTEGER
from stratarouter_runtime.errors import Conflict, Interrupted, JournalMismatch, StoreError
from stratarouter_runtime.executor.boundary import POLICY, discreet, overcharged, refusal
from stratarouter_runtime.ids import Digest, ExecutionId, StepPath
from stratarouter_runtime.ports import (
    AgentCall,
    Agents,
    Asked,
    Clock,
    Compared,
    Flows,
    Policies,
    Reuse,
    Scorer,
    Switch,
)
from stratarouter_runtime.routing.choose import settle
from stratarouter_runtime.state.codec import decode, encode
from stratarouter_runtime.state.events import NO_USAGE, Failed, Failure, Returned, Scored, Usage
from stratarouter_runtime.tcfp.digests import step_key
from stratarouter_runtime.tcfp.relations import labels_of
from stratarouter_runtime.tcfp.values import Misfit, to_json
from stratarouter_runtime.tenancy.policies import EVERYTHING, FLOW, Policy
from stratarouter_runtime.traces import Trace, call_span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stratarouter_runtime.ports import Agent, AgentReply
    from stratarouter_runtime.state.commands import CallAgent, ScoreRoutes
    from stratarouter_runtime.state.events import Event, Started


Confirm: TypeAlias = "Callable[[], Awaitable[None]]"
"""Returns where the lease of this process holds. Raises `StoreError`."""


class Shell(Struct, frozen=True):
    """What carrying out commands takes."""

    agents: Agents
    flows: Flows
    scorer: Scorer
    clock: Clock
    reuse: Reuse | None = None
    """Where answers come from that need not be made anew; None makes every one."""
    switch: Switch | None = None
    """What decides for whom queries are; None goes by the scorer alone."""
    policies: Policies | None = None
    """What agents of tenants may be; None lets them be anything."""


async def call(shell: Shell, started: Started, command: CallAgent, confirm: Confirm) -> Event:
    """Call the agent; its answer, or why there is none.

    Raises `StoreError` or `Conflict` where the call of a flow was interrupted, not answered.
    """
    name, digest = command.agent.name, command.agent.digest
    agent = shell.agents.get(name)
    if agent is None or agent.digest != digest:
        flow = await shell.flows.flow_agent(name, digest, started.tenant)
        if flow is None:
            return _failed(command, _missing(command, agent))
        agent = flow
    policy = EVERYTHING if shell.policies is None else await shell.policies.policy(started.tenant)
    refused = refusal(agent, command, policy)
    if refused is not None:
        return _failed(command, refused)
    try:
        fact = await _answered(shell, agent, started, narrowed(command, policy), confirm)
    except (StoreError, Conflict):  # of a flow that was called: it goes on from where its journal ends
        raise
    except (Exception, asyncio.CancelledError) as error:
        if _given_up(error, agent.kind):
            raise asyncio.CancelledError from error
        fact = _spent(command, _broken(f"agent '{name}'", command.step, error))
    if (isinstance(fact, Failed) or fact.isolation != "") and not _kept(fact):
        fact = _spent(command, _unkept(command))
    return replace(fact, failure=discreet(fact.failure, command)) if isinstance(fact, Failed) else fact


def repeatable(shell: Shell, command: CallAgent) -> bool:
    """Whether nobody notices a call whose answer is lost: it has no effect, costs nothing, and starts no flow."""
    signature = command.agent.signature
    agent = shell.agents.get(command.agent.name)
    free = signature.cost.usd == 0 and signature.cost.tokens == 0
    return signature.effect == "pure" and free and agent is not None and agent.digest == command.agent.digest


async def _answered(
    shell: Shell, agent: Agent, started: Started, command: CallAgent, confirm: Confirm
) -> Returned | Failed:
    """The agent's answer, or one that is known already; checked."""
    call = agent_call(started, command, confirm)
    if shell.reuse is None:
        return _fact(agent, command, await agent.call(call))
    reply, reused = await shell.reuse.call(command.agent, call, command.input_digest, agent.call)
    fact = _fact(agent, command, reply)
    return fact if reused is None or isinstance(fact, Failed) else replace(fact, reused=reused)


def agent_call(started: Started, command: CallAgent, confirm: Confirm) -> AgentCall:
    """What an agent is told of one attempt: key and seed are the same for every other."""
    step = step_key(command.step)
    return AgentCall(
        execution=ExecutionId(started.id),
        tenant=started.tenant,
        key=idempotency_key(started.id, command.step),
        seed=blake3(f"{started.seed}\0{step}".encode()).hexdigest(),
        attempt=command.attempt,
        input=command.input,
        deadline=command.deadline,
        trace=_traceparent(started, step, command.attempt) if started.trace else "",
        scope=started.scope,
        fresh=started.fresh,
        wished=started.wished,
        step=command.step,
        allowed=command.allowed,
        budget=command.budget,
        carries=command.carries,
        confirm=confirm,
    )


def narrowed(command: CallAgent, policy: Policy) -> CallAgent:
    """The command, allowed no more than the policy of the tenant allows."""
    if policy.hosts is None:
        return command
    return replace(command, allowed=command.allowed.narrowed(policy.hosts))


def _traceparent(started: Started, step: Digest, attempt: int) -> str:
    """Under which the agent's own spans belong: the span of this attempt."""
    return Trace(started.trace, call_span(ExecutionId(started.id), step, attempt), started.sampled).header()


def idempotency_key(execution: str, step: StepPath) -> Digest:
    """The key of a step of an execution: the same for every attempt, and after a crash."""
    return Digest(blake3(f"{execution}\0{step_key(step)}".encode()).hexdigest())


def _fact(agent: Agent, command: CallAgent, reply: AgentReply) -> Returned | Failed:
    usage = NO_USAGE if reply.usage is None else reply.usage.plain()
    if not _counted(usage):
        return _spent(command, _unkept(command))
    if reply.failure is not None:
        # An agent does not know which step called it, and a flow that was called names its own.
        failure = replace(reply.failure, step=command.step)
        return Failed(command.step, command.brief, failure, command.attempt, usage, isolation=reply.isolation)
    checker = command.agent.output
    kind, wrong = POLICY, overcharged(agent, usage)
    output = None
    try:
        output = to_json(checker.type, checker.project(reply.output))
    except Misfit as misfit:
        told = f"at {misfit.pointer or '/'}" if labels_of(checker.type) else str(misfit)
        kind, wrong = "agent.invalid_output", f"{agent.name} returned what does not fit: {told}"
    if wrong:
        failure = Failure(kind, wrong, None, command.step)
        return Failed(command.step, command.brief, failure, command.attempt, usage, isolation=reply.isolation)
    return Returned(
        command.step,
        command.brief,
        output,
        command.attempt,
        usage,
        isolation=reply.isolation,
        whole=reply.whole,
        since=reply.since,
    )


def _failed(command: CallAgent, failure: Failure) -> Failed:
    return Failed(command.step, command.brief, failure, command.attempt)


def _spent(command: CallAgent, failure: Failure) -> Failed:
    """A call whose costs nobody knows counts as what was reserved for it: silence is not cheaper than truth."""
    cost = command.agent.signature.cost
    usage = Usage(cost.usd, cost.tokens).plain()
    return Failed(command.step, command.brief, failure, command.attempt, usage)


def _missing(command: CallAgent, agent: Agent | None) -> Failure:
    name = command.agent.name
    if agent is None:
        message = f"no agent named '{name}' is registered here"
    else:
        message = (
            f"the agent '{name}' registered here is version {agent.digest[:12]}…, "
            f"the execution was started with {command.agent.digest[:12]}…"
        )
    return Failure("agent.unavailable", message, None, command.step)


async def score(shell: Shell, started: Started, command: ScoreRoutes) -> Event:
    """Find for whom of the candidates the query is; or say why that cannot be done."""
    try:
        found = await _compared(shell, started, command)
        compared = bool(found.scores) or found.why is None
        scores = _settled(found.scores, len(command.candidates)) if compared else ()
    except (Exception, asyncio.CancelledError) as error:
        if _given_up(error):
            raise
        failure = _broken("the router", command.step, error)
        return Failed(command.step, command.brief, failure, command.attempt)
    return Scored(command.step, command.brief, scores, command.attempt, found.why)


async def _compared(shell: Shell, started: Started, command: ScoreRoutes) -> Compared:
    candidates = tuple((agent.name, agent.signature.about) for agent in command.candidates)
    if shell.switch is None:
        return Compared(await shell.scorer.score(command.query, [about for _, about in candidates]))
    asked = Asked(
        started.tenant,
        command.query,
        candidates,
        command.router,
        command.labels,
        command.input,
        command.given,
    )
    return await shell.switch.compare(asked)


def _settled(scores: Sequence[float], texts: int) -> tuple[float, ...]:
    settled = tuple(settle(score) for score in scores)
    if len(settled) != texts or not all(map(isfinite, settled)):
        raise ValueError(f"{texts} texts have the scores {settled}")
    return settled


def _given_up(error: BaseException, kind: str = "") -> bool:
    """Whether a call ends without an answer: nobody wants one any more, or a flow stops with this process.

    Where its call is shared, `Interrupted` says the latter. An agent that stops by itself has failed.
    """
    if kind == FLOW:
        return isinstance(error, asyncio.CancelledError | Interrupted)
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _broken(who: str, step: StepPath, error: BaseException) -> Failure:
    told = f"{who} broke: {type(error).__name__}: {error}"[:2_000]
    return Failure("agent.unavailable", told.encode(errors="replace").decode(), None, step)


def _kept(fact: Returned | Failed) -> bool:
    """Whether the journal gives back what an agent says beside its output and its costs."""
    said = fact if isinstance(fact, Failed) else replace(fact, output=None)
    try:
        return decode(encode(said)) == said
    except (JournalMismatch, TypeError, ValueError):
        return False


_REAL: Final = frozenset({int, float})


def _counted(usage: Usage) -> bool:
    """Whether amounts are numbers that can be added up, and that the journal gives back."""
    for amount in (usage.usd, usage.ms, usage.cpu_ms):
        if type(amount) not in _REAL or not 0 <= amount <= MAX_INTEGER:
            return False
    for count in (usage.tokens_in, usage.tokens_out, usage.memory_kib):
        if type(count) is not int or not 0 <= count <= MAX_INTEGER:
            return False
    return True


def _unkept(command: CallAgent) -> Failure:
    message = f"{command.agent.name} told costs, or a failure, that cannot be written down"
    return Failure("agent.invalid_output", message, None, command.step)
