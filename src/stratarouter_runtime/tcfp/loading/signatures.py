"""Signatures of agents, limits, and what a flow and an agent say alike.

Must never know steps, or which agents there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from stratarouter_runtime.tcfp.ir import (
    EFFECTS,
    ON_CRASH,
    AgentRef,
    CachePolicy,
    Cost,
    Effect,
    Limits,
    Needs,
    OnCrash,
    Signature,
)
from stratarouter_runtime.tcfp.loading.fields import (
    AMOUNT,
    COUNT,
    POSITIVE,
    Fields,
    Range,
    open_fields,
    text_of,
    wrong,
)
from stratarouter_runtime.tcfp.text import Mapping, Node, Scalar, Sequence
from stratarouter_runtime.tcfp.type_syntax import read_type
from stratarouter_runtime.tcfp.types import UNKNOWN, Type, record

if TYPE_CHECKING:
    from stratarouter_runtime.tcfp.diagnostics import Diagnostics

CACHE_POLICIES: Final = ("run", "shared", "semantic", "never")
_LIMITS: Final = ("usd", "tokens", "time", "steps", "parallel", "hosts", "tools", "labels")
SIGNATURE: Final = (
    *("in", "out", "effect", "stable", "cache", "semantic", "accepts"),
    *("errors", "about", "tags", "needs", "cost", "time", "on_crash"),
)
"""The keys of a signature."""

_CPUS: Final = Range(0.01, 1024)


def read_limits(node: Node | None, diagnostics: Diagnostics) -> Limits | None:
    """The limits of a flow or step."""
    fields = open_fields(node, "limits", _LIMITS, diagnostics)
    if fields is None:
        return None
    return Limits(
        usd=fields.number("usd", AMOUNT),
        tokens=fields.integer("tokens", COUNT),
        time=fields.duration("time", least=1),
        steps=fields.integer("steps", POSITIVE),
        parallel=fields.integer("parallel", POSITIVE),
        hosts=fields.texts("hosts"),
        tools=fields.texts("tools"),
        labels=fields.texts("labels"),
        at=fields.at,
    )


def read_agents(node: Node | None, diagnostics: Diagnostics) -> tuple[AgentRef, ...]:
    """The agents a flow names: a mapping to signatures, or a list of names."""
    match node:
        case None:
            return ()
        case Mapping():
            return tuple(
                AgentRef(entry.key, _optional_signature(entry.value, diagnostics), entry.value.at)
                for entry in node.entries
            )
        case Sequence():
            named = ((item, text_of(item, diagnostics)) for item in node.items)
            return tuple(AgentRef(name, None, item.at) for item, name in named if name is not None)
        case _:
            wrong(node, "a mapping or a list", diagnostics, "write name: {in: …, out: …}, or [name]")
            return ()


def _optional_signature(node: Node, diagnostics: Diagnostics) -> Signature | None:
    if isinstance(node, Scalar) and node.data is None:
        return None
    return read_signature(node, diagnostics)


def read_signature(node: Node, diagnostics: Diagnostics) -> Signature | None:
    """The signature of an agent."""
    fields = open_fields(node, "the signature of an agent", SIGNATURE, diagnostics)
    if fields is None:
        return None
    input_ = fields.node("in")
    effect = cast("Effect | None", fields.word("effect", EFFECTS)) or "effect"
    return Signature(
        input=record({}) if input_ is None else read_type(input_, diagnostics),
        output=needed_type(fields, "out"),
        effect=effect,
        stable=fields.flag("stable"),
        cache=read_cache(fields),
        semantic=fields.texts("semantic") or (),
        accepts=frozenset(fields.texts("accepts") or ()),
        errors=fields.texts("errors") or (),
        about=fields.text("about") or "",
        tags=fields.texts("tags") or (),
        needs=_needs(fields.node("needs"), diagnostics),
        cost=_cost(fields.node("cost"), diagnostics),
        time=fields.duration("time", least=1),
        on_crash=_on_crash(fields, effect),
        at=fields.at,
    )


def _on_crash(fields: Fields, effect: Effect) -> OnCrash | None:
    """What becomes of a call that a crash interrupts: only where the call may not simply be made again."""
    word = cast("OnCrash | None", fields.word("on_crash", ON_CRASH))
    node = fields.node("on_crash")
    if word is None or node is None or effect == "effect":
        return word
    hint = "leave it out: after a crash such a call is made again, with the same key"
    fields.diagnostics.add(
        "E334", node.at, f"on_crash is for agents with side effects; this is {effect}", hint
    )
    return None


def read_cache(fields: Fields) -> CachePolicy | None:
    """The cache policy of an agent or flow."""
    return cast("CachePolicy | None", fields.word("cache", CACHE_POLICIES))


def needed_type(fields: Fields, key: str) -> Type:
    """The type under a key that must be there."""
    node = fields.need(key, f"write {key}: and a type; null if there is nothing to say")
    return UNKNOWN if node is None else read_type(node, fields.diagnostics)


def _needs(node: Node | None, diagnostics: Diagnostics) -> Needs:
    fields = open_fields(node, "needs", ("hosts", "tools", "cpu", "memory_mb"), diagnostics)
    if fields is None:
        return Needs()
    cpu = fields.number("cpu", _CPUS)
    memory = fields.integer("memory_mb", POSITIVE)
    return Needs(
        hosts=fields.texts("hosts") or (),
        tools=fields.texts("tools") or (),
        cpu=Needs().cpu if cpu is None else cpu,
        memory_mb=Needs().memory_mb if memory is None else memory,
    )


def _cost(node: Node | None, diagnostics: Diagnostics) -> Cost:
    fields = open_fields(node, "cost", ("usd", "tokens"), diagnostics)
    if fields is None:
        return Cost()
    return Cost(usd=fields.number("usd", AMOUNT) or 0.0, tokens=fields.integer("tokens", COUNT) or 0)
