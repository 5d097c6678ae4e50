"""What an operator lets a tenant's agents be, and why an agent is none of these.

A policy is held against an agent when it is registered, when a flow is linked to it, and again at
each call, so that one which is tightened holds for executions under way. Must never know: where
policies are kept, or what an agent does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Level: TypeAlias = Literal["inline", "process", "sandbox"]
"""The least that has to stand around code that runs on this machine."""

KINDS: Final = ("python", "http", "llm", "mcp", "sandbox", "wasm", "command")
"""What a policy may allow."""

_RANKS: Final = {"inline": 0, "process": 1, "sandbox": 2, "wasm": 2, "command": 2}


class Policy(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What agents may be; None allows everything.

    `isolation` is the lowest level of those whose code runs here; `kinds` those of agents, flows
    apart, of which each agent is held to the policy by itself; `hosts` and `models` what they may
    connect to, and ask.
    """

    isolation: Level | None = None
    kinds: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None


EVERYTHING: Final = Policy()
FLOW: Final = "flow"


class Manner(Struct, frozen=True):
    """What an agent is, as far as policies ask: `isolation` is empty where none of its code runs here.

    `uses` are the agents that it calls by itself.
    """

    name: str
    kind: str
    isolation: str = ""
    hosts: tuple[str, ...] = ()
    model: str = ""
    uses: tuple[Manner, ...] = ()


def faults(policy: Policy, manner: Manner) -> Iterator[str]:
    """Why an agent may not be used: the constraint, the value and the limit of each."""
    for reason in _faults(policy, manner) if manner.kind != FLOW else ():
        yield f"{manner.name}: {reason}"
    for used in manner.uses:
        yield from faults(policy, used)


def _faults(policy: Policy, manner: Manner) -> Iterator[str]:
    least = policy.isolation
    if least is not None and manner.isolation and _RANKS[manner.isolation] < _RANKS[least]:
        yield f"isolation is {manner.isolation}, at least {least} is demanded"
    if policy.kinds is not None and manner.kind not in policy.kinds:
        yield f"kind is {manner.kind}, allowed are: {_listed(policy.kinds)}"
    for host in manner.hosts if policy.hosts is not None else ():
        if host not in (policy.hosts or ()):
            yield f"host is {host}, allowed are: {_listed(policy.hosts or ())}"
    if policy.models is not None and manner.model and manner.model not in policy.models:
        yield f"model is {manner.model}, allowed are: {_listed(policy.models)}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
