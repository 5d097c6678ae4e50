"""The record of what an agent was sent and what came back: redacted, bounded, and no part of a journal.

Fields with a label show the label, secrets are gone, and what is long is cut; sizes and digests are
of the whole. It goes to whoever listens, once for each call. Must never know: who listens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import orjson
from msgspec import Struct

from stratarouter_runtime.agents.secrets import Secrets
from stratarouter_runtime.canonical import digest_bytes
from stratarouter_runtime.ids import AgentName, Digest, ExecutionId
from stratarouter_runtime.ports import AgentCall, AgentReply
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.relations import labels_of
from stratarouter_runtime.tcfp.types import Type
from stratarouter_runtime.tcfp.values import Misfit, checker, redact

SHOWN: Final = 2_000
"""Characters of each side that are kept."""


class Side(Struct, frozen=True):
    """One direction: JSON as far as it is kept, the bytes of all of it, and the digest of these."""

    text: str
    size: int
    digest: Digest


class Exchange(Struct, frozen=True):
    """One call. `outcome` is `ok` or the kind of the failure; `ms` is how long it took."""

    execution: ExecutionId
    step: Digest
    attempt: int
    agent: AgentName
    version: Digest
    sent: Side
    received: Side
    outcome: str
    ms: float


Listener: TypeAlias = Callable[[Exchange], None]
"""Hears of each exchange. Is called on the loop, and must not wait."""


def sent(signature: Signature, call: AgentCall, secrets: Secrets) -> Side:
    """What the agent is given: nothing of it, where a label that its type does not tell is somewhere in it."""
    if call.carries - labels_of(signature.input):
        return _side(_hidden(call), secrets)
    return _side(_shown(signature.input, call.input), secrets)


def received(signature: Signature, call: AgentCall, reply: AgentReply, secrets: Secrets) -> Side:
    """What came back: the output, or what a failure says of itself, unless it may repeat a label's value."""
    if reply.failure is not None:
        message = _hidden(call) if call.carries else reply.failure.message
        return _side({"kind": reply.failure.kind, "message": message}, secrets)
    return _side(_shown(signature.output, reply.output), secrets)


def _hidden(call: AgentCall) -> str:
    return f"[{', '.join('@' + label for label in sorted(call.carries))}]"


def _shown(type_: Type, value: Any) -> Any:
    try:
        return redact(type_, checker(type_).project(value))
    except (Misfit, TypeError, ValueError):
        return "[does not fit its type]"


def _side(value: Any, secrets: Secrets) -> Side:
    try:
        text = orjson.dumps(secrets.scrub(value))
    except TypeError:
        text = b'"[no JSON]"'
    shown = text[: SHOWN * 4].decode(errors="ignore")[:SHOWN]
    return Side(shown, len(text), digest_bytes(text))
