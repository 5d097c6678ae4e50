"""How agents say that they failed: the built-in kinds, and replies made of them.

Must never know: which kind of agent failed, or what a flow does about it.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any, Final

from stratarouter_runtime.ports import AgentCall, AgentReply
from stratarouter_runtime.state.events import Failure, Usage
from stratarouter_runtime.tcfp.ir import Signature

REFUSED: Final = "agent.refused"
INVALID_OUTPUT: Final = "agent.invalid_output"
UNAVAILABLE: Final = "agent.unavailable"
RATE_LIMITED: Final = "agent.rate_limited"
TIMEOUT: Final = "timeout"
OUTPUT: Final = "limit.output"

MAX_OUTPUT: Final = 8 * 1024 * 1024
"""Bytes of JSON one call may answer with, unless an agent is built with another cap."""

MAX_MESSAGE: Final = 2_000
"""Characters of a failure's message that are kept."""

PATIENCE: Final = 300_000_000
"""Microseconds a call may take where neither the caller nor the signature bounds it."""


def bounded(message: str) -> str:
    """A message that can be journaled: cut, and mended where it is no Unicode. Its secrets have to be gone by then."""
    return message[:MAX_MESSAGE].encode(errors="replace").decode()


def failed(kind: str, message: str, data: Any = None, usage: Usage | None = None) -> AgentReply:
    """The reply of a call that failed. Its message is whole: it is cut where no secret is left in it."""
    return AgentReply(failure=Failure(kind, message, data), usage=usage)


def too_large(size: str, cap: int) -> AgentReply:
    """The reply of a call whose answer is larger than `cap` bytes."""
    return failed(OUTPUT, f"the output has {size}; at most {cap:,} are accepted")


def patience_of(call: AgentCall, signature: Signature, now: int) -> int:
    """The microseconds that a call may take from now on."""
    if call.deadline is not None:
        return max(0, call.deadline - now)
    return signature.time or PATIENCE


def retry_after(header: str, now: int) -> dict[str, int] | None:
    """The data of a refusal for too many calls: the seconds a `Retry-After` names, as such or as a date."""
    if header.isascii() and header.isdigit():
        return {"retry_after": int(header[:9])}
    try:
        seconds = parsedate_to_datetime(header).timestamp() - now / 1e6
    except ValueError:
        return None
    return {"retry_after": max(0, ceil(seconds))}
