"""The agents a flow names: their signatures resolved and checked, and what a call of one means.

A signature written in the flow is what steps are checked against; without one the
registry's is taken; without a registry nothing can be said, and that is said (W304).
Must never know steps.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from stratarouter_runtime.tcfp import ir, relations
from stratarouter_runtime.tcfp.diagnostics import did_you_mean
from stratarouter_runtime.tcfp.ir import Where
from stratarouter_runtime.tcfp.types import STRING, RecordType, Type
from stratarouter_runtime.tcfp.validation import bounds, kinds
from stratarouter_runtime.tcfp.validation.context import Checking
from stratarouter_runtime.tcfp.validation.fits import Receiver
from stratarouter_runtime.tcfp.validation.tree import Facts

UNKNOWN_FACTS: Final = Facts(
    "pure", kinds.AGENT | kinds.TIMED | {kinds.ANYTHING}, bounds.called(ir.Cost(), None)
)
"""What is assumed of an agent of which nothing is known: nothing that would be an error."""


def declare(check: Checking) -> None:
    """Resolve and check every agent that the flow names."""
    seen: set[str] = set()
    for agent in check.flow.agents:
        at = _place(agent)
        if agent.name in seen:
            check.add("E302", at, f"agent '{agent.name}' is declared twice", "remove one of the two")
        seen.add(agent.name)
        if agent.signature is None:
            _from_registry(check, agent.name, at)
        else:
            signature = resolved(check, agent.signature, at)
            check_signature(check, signature, at)
            check.agents[agent.name] = _as_linked(check, agent.name, signature)


def resolved(check: Checking, signature: ir.Signature, at: Where) -> ir.Signature:
    """The signature with its types resolved."""
    return replace(
        signature,
        input=check.resolve(signature.input, check.at(at, "in")),
        output=check.resolve(signature.output, check.at(at, "out")),
    )


def check_signature(check: Checking, signature: ir.Signature, at: Where) -> None:
    """What must hold within one signature, of an agent or of the flow itself: E308, E309, E320."""
    if signature.cache in ("run", "shared", "semantic") and signature.effect != "pure":
        hint = "write effect: pure, if it is, or cache: never"
        check.add(
            "E309",
            check.at(at, "cache"),
            f"only a pure agent may be cached; this is {signature.effect}",
            hint,
        )
    for index, kind in enumerate(signature.errors):
        if kind not in check.errors and not kinds.reserved(kind):
            check.strange.add(kind)
            hint = did_you_mean(kind, check.errors) or "declare it, with the type of its data, under errors:"
            check.add("E320", check.at(at, "errors", index), f"unknown error kind '{kind}'", hint)
    _check_semantic(check, signature, at)


def signature(check: Checking, name: str, at: Where) -> ir.Signature | None:
    """The signature a step may rely on; None, with a diagnostic, where there is none."""
    check.used.add(name)
    found = check.agents.get(name)
    if found is None and name not in check.unknown:
        known = [agent.name for agent in check.flow.agents]
        hint = did_you_mean(name, known) or "declare it under agents:"
        check.add("E303", at, f"unknown agent '{name}'", hint)
    return found


def receiver(name: str, of: ir.Signature) -> Receiver:
    """The agent as one that is given a value."""
    return Receiver(name, of.accepts, "add accepts: to the agent or redact first", outgoing=True)


def facts(of: ir.Signature) -> Facts:
    """What one call has to be reckoned with."""
    raises = kinds.AGENT | frozenset(of.errors)
    if of.time is not None:
        raises |= kinds.TIMED
    return Facts(of.effect, raises, bounds.called(of.cost, of.time))


def _from_registry(check: Checking, name: str, at: Where) -> None:
    if check.registry is None:
        check.unknown.add(name)
        check.add(
            "W304",
            at,
            f"agent '{name}' has no signature here: its input, output, effect and errors were not checked",
            "write its signature, or validate where the agent is at hand",
        )
        return
    found = check.registry.get(name)
    if found is None:
        check.unknown.add(name)
        hint = did_you_mean(name, check.registry) or "write its signature, or add the agent"
        check.add("E304", at, f"no agent '{name}' at hand, and no signature for it", hint)
        return
    check.agents[name] = found.signature


def _as_linked(check: Checking, name: str, signature: ir.Signature) -> ir.Signature:
    """The signature as it will be linked, so that policy is held against what will really run."""
    found = None if check.registry is None else check.registry.get(name)
    return signature if found is None else effective(signature, found.signature)


def effective(declared: ir.Signature, at_hand: ir.Signature) -> ir.Signature:
    """A declared signature, completed by what only the agent at hand knows.

    Types, effect, errors and cost stay as declared; what it needs of a sandbox is the
    agent's own, and what the flow leaves unsaid (about, tags, time, caching, what a crash means) is taken from it.
    """
    return replace(
        declared,
        stable=declared.stable or at_hand.stable,
        cache=declared.cache if declared.cache is not None else at_hand.cache,
        semantic=declared.semantic or at_hand.semantic,
        about=declared.about or at_hand.about,
        tags=declared.tags or at_hand.tags,
        needs=at_hand.needs,
        time=declared.time if declared.time is not None else at_hand.time,
        on_crash=_on_crash(declared, at_hand),
    )


def _on_crash(declared: ir.Signature, at_hand: ir.Signature) -> ir.OnCrash | None:
    """Of a call that is made as one with side effects; of any other there is nothing to say."""
    if declared.effect != "effect":
        return None
    return declared.on_crash if declared.on_crash is not None else at_hand.on_crash


def _check_semantic(check: Checking, signature: ir.Signature, at: Where) -> None:
    if signature.cache == "semantic" and not signature.semantic:
        hint = "write semantic: [field]"
        check.add(
            "E308", check.at(at, "cache"), "cache: semantic needs the fields that may match by meaning", hint
        )
    fields = dict(signature.input.fields) if isinstance(signature.input, RecordType) else {}
    for index, name in enumerate(signature.semantic):
        of = fields.get(name)
        if of is None or not _is_text(of):
            hint = did_you_mean(name, fields) or "name string fields of in:"
            check.add(
                "E308", check.at(at, "semantic", index), f"'{name}' is no string field of the input", hint
            )


def _is_text(type_: Type) -> bool:
    return relations.assignable(relations.without_labels(relations.without_null(type_)), STRING)


def _place(agent: ir.AgentRef) -> Where:
    return agent.at if agent.at.pointer else Where(f"/agents/{agent.name}", agent.at.line, agent.at.column)
