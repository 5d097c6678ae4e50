"""Linking: which agent of a registry answers for a name in a flow, and whether it fits.

An agent fits where a flow declares a signature when it demands no more and promises no
less. Must never know how agents are implemented or found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName, Digest
from stratarouter_runtime.tcfp import relations
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.ir import EFFECTS, Signature
from stratarouter_runtime.tcfp.labels import accepted
from stratarouter_runtime.tcfp.plan import LinkedAgent
from stratarouter_runtime.tcfp.values import checker
from stratarouter_runtime.tenancy.policies import Manner


class LinkableAgent(Struct, frozen=True):
    """An agent at hand. `digest` covers signature and implementation version; types hold no `Ref`.

    `manner` is what policies ask; None of a flow, whose agents are held to them by themselves.
    """

    name: AgentName
    signature: Signature
    digest: Digest
    manner: Manner | None = None


Registry: TypeAlias = Mapping[str, LinkableAgent]


def link(required: Mapping[str, Signature], registry: Registry) -> tuple[LinkedAgent, ...]:
    """The agents of these names, in the order of names, each as the flow requires it.

    Raises `LinkError`, naming everything that is missing or does not fit.
    """
    linked, problems = [], []
    for name in sorted(required):
        agent = registry.get(name)
        if agent is None:
            problems.append(f"agent '{name}' is not at hand")
            continue
        wrong = misfits(required[name], agent.signature)
        if wrong:
            problems.append(f"agent '{name}' does not fit: {'; '.join(wrong)}")
        linked.append(_linked(agent, required[name]))
    if problems:
        raise LinkError("\n".join(problems), hint=_advice(required, registry))
    return tuple(linked)


def misfits(required: Signature, at_hand: Signature) -> list[str]:
    """Why an agent cannot stand where the flow requires `required`; empty where it can."""
    found = [
        relations.explain(accepted(required.input, at_hand.accepts), at_hand.input, "in"),
        relations.explain(at_hand.output, required.output, "out"),
    ]
    if EFFECTS.index(at_hand.effect) > EFFECTS.index(required.effect):
        found.append(f"effect: {at_hand.effect}, at most {required.effect} is declared")
    if at_hand.cost.usd > required.cost.usd:
        found.append(f"cost.usd: {at_hand.cost.usd:g}, at most {required.cost.usd:g} is declared")
    if at_hand.cost.tokens > required.cost.tokens:
        found.append(f"cost.tokens: {at_hand.cost.tokens}, at most {required.cost.tokens} is declared")
    found += [f"errors: may raise '{kind}'" for kind in sorted({*at_hand.errors} - {*required.errors})]
    found += [f"accepts: does not take @{label}" for label in sorted(required.accepts - at_hand.accepts)]
    return [reason for reason in found if reason]


def _linked(agent: LinkableAgent, required: Signature) -> LinkedAgent:
    return LinkedAgent(
        name=agent.name,
        signature=required,
        digest=agent.digest,
        input=checker(required.input),
        output=checker(required.output),
    )


def _advice(required: Mapping[str, Signature], registry: Registry) -> str:
    for name in sorted(required):
        if name not in registry:
            return did_you_mean(name, registry) or "add it to the project's agents"
    return "change the agent, or the signature under agents:"
