"""What is held against an agent at its boundary: before it is called, and when it has answered.

A flow was checked when it was linked; this is held against what is at hand when it runs, whatever
has changed since. Each refusal names the constraint, the value and the limit. Must never know: how
an agent is called, or what becomes of a refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from stratarouter_runtime.ports import manner_of
from stratarouter_runtime.state.events import Failure
from stratarouter_runtime.tcfp.allowed import ANYTHING
from stratarouter_runtime.tcfp.relations import labels_of
from stratarouter_runtime.tenancy.policies import EVERYTHING, FLOW, Policy, faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stratarouter_runtime.ports import Agent
    from stratarouter_runtime.state.commands import CallAgent
    from stratarouter_runtime.state.events import Usage
    from stratarouter_runtime.tcfp.allowed import Allowed

POLICY: Final = "policy"

_TOLD: Final = 4
"""Characters from which on a value is looked for in what an agent says of its failure."""
_MOST: Final = 1_000
"""Values of an input that are looked for."""
_SLACK: Final = 1 + 1e-9


def refusal(agent: Agent, command: CallAgent, policy: Policy) -> Failure | None:
    """Why this call may not be made; None where it may."""
    if not command.carries and command.allowed == ANYTHING and policy is EVERYTHING:
        return None
    for reason in _reasons(agent, command, policy):
        return Failure(POLICY, f"{agent.name} is not called: {reason}", None, command.step)
    return None


def _reasons(agent: Agent, command: CallAgent, policy: Policy) -> Iterator[str]:
    yield from _beyond(agent, command.allowed)
    if command.carries:
        yield from _spilled(agent, command)
    if policy != EVERYTHING:
        for fault in faults(policy, manner_of(agent)):
            yield f"the policy of the tenant does not allow {fault}"


def _spilled(agent: Agent, command: CallAgent) -> Iterator[str]:
    """The labels of its input that it, or a limit around the call, does not let out."""
    accepted, labels = agent.signature.accepts | labels_of(agent.signature.input), command.allowed.labels
    for label in sorted(command.carries - accepted):
        yield f"its input carries @{label}, and it accepts {_listed(accepted, '@')}"
    if labels is not None:
        for label in sorted(command.carries - labels):
            yield f"its input carries @{label}, limits.labels allows {_listed(labels, '@')}"


def _beyond(agent: Agent, allowed: Allowed) -> Iterator[str]:
    """What it, or a tool of it, needs and limits around the call do not allow."""
    needs, hosts, tools = agent.signature.needs, allowed.hosts, allowed.tools
    if hosts is not None:
        for host in sorted({*needs.hosts} - hosts):
            yield f"{agent.name} needs host '{host}', limits.hosts allows {_listed(hosts)}"
    if tools is not None:
        for tool in sorted({*needs.tools} - tools):
            yield f"{agent.name} needs tool '{tool}', limits.tools allows {_listed(tools)}"
    for used in agent.uses:
        yield from _beyond(used, allowed)


def overcharged(agent: Agent, usage: Usage) -> str:
    """What an agent took beyond the bound that it declares; empty where that was kept, or there is none.

    A flow's cost is reckoned from its agents' and no promise of its own.
    """
    cost, times = agent.signature.cost, 2 if agent.grouped else 1
    if agent.kind == FLOW:
        return ""
    if 0 < cost.usd * times * _SLACK < usage.usd:
        return f"{agent.name} took {usage.usd:g} usd, its cost.usd declares at most {cost.usd:g}"
    tokens = usage.tokens_in + usage.tokens_out
    if 0 < cost.tokens * times < tokens:
        return f"{agent.name} took {tokens} tokens, its cost.tokens declares at most {cost.tokens}"
    return ""


def discreet(failure: Failure, command: CallAgent) -> Failure:
    """The failure without what the agent was given, where that carries a label: messages are shown to all."""
    if not command.carries or not failure.message:
        return failure
    hidden = f"[{', '.join('@' + label for label in sorted(command.carries))}]"
    message = failure.message
    for value in sorted(set(_leaves(command.input)), key=lambda each: (-len(each), each))[:_MOST]:
        message = message.replace(value, hidden)
    return replace(failure, message=message)


def _leaves(value: Any) -> Iterator[str]:
    """The texts and numbers within a value, of those that are long enough to be told from others."""
    match value:
        case dict():
            for item in value.values():
                yield from _leaves(item)
        case list():
            for item in value:
                yield from _leaves(item)
        case str() if len(value) >= _TOLD:
            yield value
        case bool():
            pass
        case int() | float() if len(str(value)) >= _TOLD:
            yield str(value)
        case _:
            pass


def _listed(names: frozenset[str], sign: str = "") -> str:
    return ", ".join(sign + name for name in sorted(names)) or "none"
