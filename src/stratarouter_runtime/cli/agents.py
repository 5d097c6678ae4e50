"""`strata agents`: the agents of a project, listed, or one of them called alone.

Must never know: kinds of agents, flows, or how executions are driven.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec
from cyclopts import Parameter

from stratarouter_runtime import settings
from stratarouter_runtime.cli.arguments import Agents, Inputs, Json
from stratarouter_runtime.cli.exits import Exit, of_failure
from stratarouter_runtime.cli.output import write
from stratarouter_runtime.cli.render import printable
from stratarouter_runtime.cli.session import Session
from stratarouter_runtime.cli.values import check_complete, gather
from stratarouter_runtime.errors import InvalidInput, NotFound
from stratarouter_runtime.executor.calls import idempotency_key
from stratarouter_runtime.ids import LOCAL, StepPath
from stratarouter_runtime.ports import AgentCall, AgentReply
from stratarouter_runtime.system import SystemClock, SystemEntropy
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.types import RecordType, show
from stratarouter_runtime.tcfp.values import Misfit, checker, to_json

if TYPE_CHECKING:
    from stratarouter_runtime.agents.registry import Registry
    from stratarouter_runtime.ports import Agent

Action: TypeAlias = Literal["list", "test"]

_HINT: Final = "strata agents test NAME --input name=value"


def agents(
    action: Action,
    name: str | None = None,
    /,
    *,
    input_: Inputs = (),
    agents: Agents = None,
    seed: Annotated[str | None, Parameter(help="What the agent draws from; by default a new one.")] = None,
    json: Json = False,
) -> int:
    """List the agents of a project, or call one of them alone.

    Parameters
    ----------
    action
        list, or test.
    name
        The agent to test.
    """
    if action == "list":
        return _listed(Session(None, agents).registry(settings.load()), json=json)
    if name is None:
        raise InvalidInput("no agent is named", hint=_HINT)
    with redirect_stdout(sys.stderr):
        agent, reply = asyncio.run(_tested(Session(None, agents), name, input_, seed))
    return _told(agent, reply, json=json)


def _listed(registry: Registry, *, json: bool) -> int:
    rows = [
        {
            "name": agent.name,
            "in": show(agent.signature.input),
            "out": show(agent.signature.output),
            "effect": agent.signature.effect,
            "digest": agent.digest,
        }
        for agent in registry.values()
    ]
    if json:
        write(rows)
        return Exit.OK
    for row in rows:
        write(printable(f"{row['name']}: {row['in']} -> {row['out']}  [{row['effect']}]"))
    return Exit.OK


async def _tested(
    session: Session, name: str, given: tuple[str, ...], seed: str | None
) -> tuple[Agent, AgentReply]:
    registry = session.registry(settings.load())
    try:
        agent = _named(registry, name)
        declared = agent.signature.input
        assert isinstance(declared, RecordType)
        fields = gather(given, declared, sys.stdin.buffer.read)
        check_complete(fields, declared)
        return agent, await agent.call(_call(agent, fields, seed))
    finally:
        await registry.close()


def _named(registry: Registry, name: str) -> Agent:
    agent = registry.get(name)
    if agent is None:
        hint = did_you_mean(name, registry) or "list them: strata agents list"
        raise NotFound(f"no agent '{name}' in this project", hint=hint)
    return agent


def _call(agent: Agent, fields: dict[str, Any], seed: str | None) -> AgentCall:
    entropy, time = SystemEntropy(), agent.signature.time
    execution = entropy.execution_id()
    try:
        value = checker(agent.signature.input).project(fields)
    except Misfit as misfit:
        raise InvalidInput(f"the input does not fit: {misfit}") from None
    return AgentCall(
        execution=execution,
        tenant=LOCAL,
        key=idempotency_key(execution, StepPath("test")),
        seed=seed or entropy.seed(),
        attempt=1,
        input=value,
        deadline=None if time is None else SystemClock().now() + time,
    )


def _told(agent: Agent, reply: AgentReply, *, json: bool) -> int:
    """The output on standard output, what it took and what went wrong on standard error; the exit code."""
    failure, usage = reply.failure, reply.usage
    output = None
    if failure is None:
        try:
            type_ = agent.signature.output
            output = to_json(type_, checker(type_).project(reply.output))
        except Misfit as misfit:
            sys.stderr.write(printable(f"error: {agent.name} returned what does not fit: {misfit}") + "\n")
            return Exit.FAILED
    if json:
        write({"output": output, "failure": failure, "usage": usage})
        return Exit.OK if failure is None else of_failure(failure.kind)
    if usage is not None:
        took = f"{usage.ms:.0f} ms, {usage.usd:.6f} USD, {usage.tokens_in} + {usage.tokens_out} tokens"
        sys.stderr.write(f"{agent.name}: {took}\n")
    if failure is not None:
        sys.stderr.write(printable(f"error: {failure.kind}: {failure.message}") + "\n")
        return of_failure(failure.kind)
    write(msgspec.json.format(msgspec.json.encode(output), indent=2).decode())
    return Exit.OK
