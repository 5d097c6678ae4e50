"""How agents say that they failed: the built-in kinds, and replies made of them.

Must never know: which kind of agent failed, or what a flow does about it.
"""

from __future__ import annotations

from typing import Any, Final

from stratarouter_runtime.ports import AgentReply
from stratarouter_runtime.state.events import Failure, Usage

REFUSED: Final = "agent.refused"
INVALID_OUTPUT: Final = "agent.invalid_output"
UNAVAILABLE: Final = "agent.unavailable"
RATE_LIMITED: Final = "agent.rate_limited"
TIMEOUT: Final = "timeout"

MAX_OUTPUT: Final = 8 * 1024 * 1024
"""Bytes of JSON one call may answer with, unless an agent is built with another cap."""
_MAX_MESSAGE: Final = 2_000


def failed(kind: str, message: str, data: Any = None, usage: Usage | None = None) -> AgentReply:
    """The reply of a call that failed; a message that could not be journaled is cut and mended."""
    told = message[:_MAX_MESSAGE].encode(errors="replace").decode()
    return AgentReply(failure=Failure(kind, told, data), usage=usage)


def too_large(size: str, cap: int) -> AgentReply:
    """The reply of a call whose answer is larger than `cap` bytes."""
    return failed(INVALID_OUTPUT, f"the output has {size}; at most {cap:,} are accepted")
