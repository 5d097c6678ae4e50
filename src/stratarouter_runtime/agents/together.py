"""What agents that answer several calls together have in common: what it took, divided among them.

Must never know: of which kind an agent is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from msgspec.structs import replace

from stratarouter_runtime.ports import AgentCall, AgentReply
from stratarouter_runtime.state.events import NO_USAGE, Usage
from stratarouter_runtime.tcfp.diagnostics import Diagnostics
from stratarouter_runtime.tcfp.ir import Batch, Signature
from stratarouter_runtime.tcfp.loading.fields import Range, open_fields
from stratarouter_runtime.tcfp.text import Node

LARGEST: Final = Range(1, 1_000)
"""Inputs of one call."""

WAIT: Final = 5_000
"""Microseconds that an input waits for others where nothing is written."""

Together: TypeAlias = Callable[[Sequence[AgentCall]], Awaitable[list[AgentReply] | AgentReply]]
"""Makes one call of several: a reply each, or one where it failed as a whole and any of them may be to blame."""


async def each(calls: Sequence[AgentCall], together: Together) -> list[AgentReply]:
    """A reply each. Where one input may have spoiled it for all, every one is tried by itself."""
    made = await together(calls)
    if isinstance(made, list):
        return made
    if len(calls) == 1:
        return [made]
    replies = await asyncio.gather(*(each([call], together) for call in calls))
    spent = divided(made.usage or NO_USAGE, len(calls))
    return [
        replace(reply, usage=already + (reply.usage or NO_USAGE))
        for already, (reply,) in zip(spent, replies, strict=True)
    ]


def divided(usage: Usage, parts: int) -> list[Usage]:
    """What each takes of it: money evenly, tokens so that they add up, and all of the time, which they shared."""
    return [
        Usage(
            usage.usd / parts,
            _part(usage.tokens_in, parts, index),
            _part(usage.tokens_out, parts, index),
            usage.ms,
        )
        for index in range(parts)
    ]


def read_batch(node: Node | None, signature: Signature, diagnostics: Diagnostics) -> Batch | None:
    """The entry `batch: {max, wait}` of a document; None where there is none, or after a diagnostic."""
    if node is None:
        return None
    fields = open_fields(node, "a batch", ("max", "wait"), diagnostics)
    if fields is None:
        return None
    if signature.effect == "effect":
        hint = "write effect: pure or idempotent, where a call may be made twice"
        diagnostics.add("E134", node.at, "batch: is for agents without side effects of their own", hint)
    fields.need("max", "write max: and how many inputs one call takes")
    most, wait = fields.integer("max", LARGEST), fields.duration("wait")
    return None if most is None else Batch(most, WAIT if wait is None else wait)


def _part(whole: int, parts: int, index: int) -> int:
    return whole // parts + (index < whole % parts)
