"""What a worker tells of a call, and the governor of one that may not begin, as replies.

Must never know: workers, or who is asked for room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from stratarouter_runtime.ports import AgentReply
from stratarouter_runtime.state.events import Failure, Usage

if TYPE_CHECKING:
    from stratarouter_runtime.sandbox.governor.gate import Refused
    from stratarouter_runtime.sandbox.wire import Tell


def refused(error: Refused) -> Failure:
    """Why there is no room for a call."""
    match error.why:
        case "cpu" | "memory":
            return Failure(f"limit.{error.why}", error.message)
        case "late":
            return Failure("limit.time", error.message)
        case _:
            return Failure("agent.unavailable", error.message)


def answered(told: Tell, usage: Usage, most: int) -> AgentReply:
    """What was told as a reply, with at most so many bytes of JSON."""
    usage = replace(usage, usd=told.usd, tokens_in=told.tokens_in, tokens_out=told.tokens_out)
    output = _output(told, most)
    if isinstance(output, Failure):
        return AgentReply(failure=output, usage=usage, reported=told.reported)
    return AgentReply(output, usage=usage, reported=told.reported)


def _output(told: Tell, most: int) -> Any:
    if told.kind:
        return Failure(told.kind, told.message, told.data)
    if told.output is UNSET:
        return None
    size = len(told.output)
    if size > most:
        return Failure("limit.output", f"the output has {size:,} bytes; at most {most:,} are accepted")
    try:
        return msgspec.json.decode(told.output)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failure("agent.invalid_output", "it answered with what is no JSON")
