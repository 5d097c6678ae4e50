"""One call of an agent, or of the scorer, from command to fact.

What an agent says is checked against its signature here, before it is journaled; whatever
goes wrong becomes a failure. Must never know: journals, or what the fact brings about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blake3 import blake3
from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.errors import Conflict, StoreError
from stratarouter_runtime.ids import Digest, ExecutionId, StepPath
from stratarouter_runtime.ports import AgentCall, Agents, Clock, Flows, Scorer
from stratarouter_runtime.state.events import NO_USAGE, Failed, Failure, Returned, Scored
from stratarouter_runtime.tcfp.digests import step_key
from stratarouter_runtime.tcfp.values import Misfit, to_json

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Agent, AgentReply
    from stratarouter_runtime.state.commands import CallAgent, ScoreRoutes
    from stratarouter_runtime.state.events import Event, Started


class Shell(Struct, frozen=True):
    """What carrying out commands takes."""

    agents: Agents
    flows: Flows
    scorer: Scorer
    clock: Clock


async def call(shell: Shell, started: Started, command: CallAgent) -> Event:
    """Call the agent; its answer, or why there is none.

    Raises `StoreError` or `Conflict` where the call of a flow was interrupted, not answered.
    """
    name, digest = command.agent.name, command.agent.digest
    agent = shell.agents.get(name)
    if agent is None or agent.digest != digest:
        flow = await shell.flows.flow_agent(name, digest)
        if flow is None:
            return _failed(command, _missing(command, agent))
        agent = flow
    try:
        reply = await agent.call(agent_call(started, command))
    except (StoreError, Conflict):  # of a flow that was called: it goes on from where its journal ends
        raise
    except Exception as error:  # noqa: BLE001 - an agent that breaks its promise must not stop the execution
        return _failed(command, _broken(f"agent '{name}'", error))
    return _fact(command, reply)


def agent_call(started: Started, command: CallAgent) -> AgentCall:
    """What an agent is told of one attempt: key and seed are the same for every other."""
    return AgentCall(
        execution=ExecutionId(started.id),
        tenant=started.tenant,
        key=idempotency_key(started.id, command.step),
        seed=blake3(f"{started.seed}\0{step_key(command.step)}".encode()).hexdigest(),
        attempt=command.attempt,
        input=command.input,
        deadline=command.deadline,
    )


def idempotency_key(execution: str, step: StepPath) -> Digest:
    """The key of a step of an execution: the same for every attempt, and after a crash."""
    return Digest(blake3(f"{execution}\0{step_key(step)}".encode()).hexdigest())


def _fact(command: CallAgent, reply: AgentReply) -> Event:
    usage = reply.usage or NO_USAGE
    if reply.failure is not None:
        # An agent does not know which step called it, and a flow that was called names its own.
        failure = replace(reply.failure, step=command.step)
        return Failed(command.step, command.input_digest, failure, command.attempt, usage)
    checker = command.agent.output
    try:
        output = to_json(checker.type, checker.project(reply.output))
    except Misfit as misfit:
        failure = Failure(
            "agent.invalid_output",
            f"{command.agent.name} returned what does not fit: {misfit}",
            None,
            command.step,
        )
        return Failed(command.step, command.input_digest, failure, command.attempt, usage)
    return Returned(command.step, command.input_digest, output, command.attempt, usage)


def _failed(command: CallAgent, failure: Failure) -> Failed:
    return Failed(command.step, command.input_digest, failure, command.attempt)


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


async def score(shell: Shell, command: ScoreRoutes) -> Event:
    """Compare the query with what the candidates are about; or say why that cannot be done."""
    texts = [agent.signature.about for agent in command.candidates]
    try:
        scores = await shell.scorer.score(command.query, texts)
    except Exception as error:  # noqa: BLE001 - whatever an encoder raises, the execution goes on
        return Failed(command.step, command.query_digest, _broken("the router", error), command.attempt)
    return Scored(command.step, command.query_digest, scores, command.attempt)


def _broken(who: str, error: Exception) -> Failure:
    return Failure("agent.unavailable", f"{who} broke: {type(error).__name__}: {error}"[:2_000])
