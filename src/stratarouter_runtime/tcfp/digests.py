"""Canonical forms of types and signatures, and the digests by which agents, steps and calls are known.

A form is JSON in which everything that means the same is the same: defaults are left out, sets
are sorted. Must never know: flows, or how an agent does its work.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

from stratarouter_runtime.canonical import AGENT, CALL, STEP, canonical, digest_bytes
from stratarouter_runtime.ids import Digest, StepPath
from stratarouter_runtime.tcfp.ir import CachePolicy, Cost, Limits, Needs, OnCrash, Signature
from stratarouter_runtime.tcfp.types import (
    EnumType,
    ListType,
    MapType,
    Primitive,
    RecordType,
    Ref,
    Type,
    UnionType,
    UnknownType,
)

Form: TypeAlias = Any
"""JSON. Never mutated: forms of equal types are shared."""


def agent_digest(name: str, kind: str, version: str, signature: Signature) -> Digest:
    """Of an agent: another name, kind, version of the implementation or signature, another digest."""
    form = {"name": name, "kind": kind, "version": version, "signature": signature_form(signature)}
    return digest_bytes(canonical(form), AGENT)


@lru_cache(maxsize=4096)
def step_key(path: StepPath) -> Digest:
    """Of a step: its position in the plan and the rounds around it; equal in every execution."""
    return digest_bytes(path.encode(), STEP)


def call_key(agent: Digest, value: Form, seed: str | None = None) -> Digest:
    """Of a call: equal keys may share one answer.

    `value` is the input in canonical form (`values.canonical_value`). Without `seed` the key
    holds for every execution: right for stable agents only.
    """
    data = b"\n".join((agent.encode(), canonical(value), (seed or "").encode()))
    return digest_bytes(data, CALL)


@lru_cache(maxsize=4096)
def type_form(type_: Type) -> Form:
    """The structure of a resolved type. Raises ValueError for a `Ref`."""
    form = _structure(type_)
    return {"labels": sorted(type_.labels), "of": form} if type_.labels else form


def _structure(type_: Type) -> Form:  # noqa: C901 - one case a kind of type
    match type_:
        case Primitive():
            return type_.name
        case EnumType():
            return {"enum": list(type_.members)}
        case ListType():
            return {"list": type_form(type_.item)}
        case MapType():
            return {"map": type_form(type_.value)}
        case RecordType():
            return {"record": {name: type_form(of) for name, of in type_.fields}}
        case UnionType():
            return {"any": [type_form(option) for option in type_.options]}
        case UnknownType():
            return "?"
        case Ref():
            raise ValueError(f"the type {type_.name} has not been resolved")


def signature_form(signature: Signature) -> Form:
    """What callers may rely on; types are resolved. `about` is in, as routes compare with it."""
    return some(
        {
            "in": type_form(signature.input),
            "out": type_form(signature.output),
            "effect": signature.effect,
            "stable": signature.stable,
            "cache": cache_policy(signature),
            "semantic": sorted(set(signature.semantic)),
            "accepts": sorted(signature.accepts),
            "errors": sorted(set(signature.errors)),
            "about": signature.about,
            "tags": sorted(set(signature.tags)),
            "needs": _needs(signature.needs),
            "cost": _cost(signature.cost),
            "time": signature.time,
            "on_crash": None if crash_policy(signature) == "ask" else signature.on_crash,
        }
    )


def cache_policy(signature: Signature) -> CachePolicy:
    """The policy as written, or what effect and stability imply."""
    if signature.cache is not None:
        return signature.cache
    if signature.effect != "pure":
        return "never"
    return "shared" if signature.stable else "run"


def crash_policy(signature: Signature) -> OnCrash:
    """What becomes of a call with side effects that a crash interrupted: as written, or `ask`."""
    return signature.on_crash or "ask"


def limits_form(limits: Limits | None) -> Form:
    """The limits that are set; empty for none. An empty allow-list allows nothing, and stays."""
    if limits is None:
        return {}
    form = {
        "usd": number(limits.usd),
        "tokens": limits.tokens,
        "time": limits.time,
        "steps": limits.steps,
        "parallel": limits.parallel,
        "hosts": _names(limits.hosts),
        "tools": _names(limits.tools),
        "labels": _names(limits.labels),
    }
    return {name: part for name, part in form.items() if part is not None}


def some(form: dict[str, Form]) -> dict[str, Form]:
    """The form without what says nothing: None, False, empty text, lists and objects."""
    return {
        name: part
        for name, part in form.items()
        if part is not None and part is not False and part not in ("", [], {})
    }


def number(value: float | None) -> int | str | None:
    """A number with one spelling: an int where it is whole, else the text of its shortest digits.

    Text, as fractions are what the canonical writer has to look at twice.
    """
    if value is None or float(value).is_integer():
        return None if value is None else int(value)
    return repr(float(value))


def _names(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else sorted(set(names))


def _cost(cost: Cost) -> Form:
    default = Cost()
    return {
        name: number(getattr(cost, name))
        for name in ("usd", "tokens")
        if getattr(cost, name) != getattr(default, name)
    }


def _needs(needs: Needs) -> Form:
    default = Needs()
    form = {
        "hosts": sorted(set(needs.hosts)),
        "tools": sorted(set(needs.tools)),
        "cpu": None if needs.cpu == default.cpu else number(needs.cpu),
        "memory_mb": None if needs.memory_mb == default.memory_mb else needs.memory_mb,
    }
    return some(form)
