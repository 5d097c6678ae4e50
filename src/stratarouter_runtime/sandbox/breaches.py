"""How the end of a worker becomes a failure: what it died of, and what it had been given.

Pure; a wait status is read as `wait(2)` has it. Must never know: processes.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from stratarouter_runtime.state.events import Failure

Reason: TypeAlias = Literal["time", "cpu", "output", "memory", "protocol", "withdrawn", "closing"]
"""Why we ended a worker, where it was we."""

_SIGKILL: Final = 9
_SIGXCPU: Final = 24
_SIGXFSZ: Final = 25
_SIGSYS: Final = 31
_OUT_OF_MEMORY: Final = (6, 11)
"""Libraries that are given no memory abort, or write to where it should have been."""
_BOX_FAILED: Final = 121


def died(status: int, reason: Reason | None, told: str = "") -> Failure:
    """The failure of the call that a worker was busy with when it ended."""
    if reason is not None:
        return _ended_by_us(reason, told)
    signal, code = status & 0x7F, status >> 8 & 0xFF
    match signal:
        case 0 if code == _BOX_FAILED:
            return Failure("agent.unavailable", "its worker could not be started behind its walls")
        case 0:
            return Failure("agent.unavailable", f"its worker ended with code {code} before it answered")
        case int() if signal == _SIGSYS:
            return Failure(
                "sandbox", "its worker was ended for a system call that nothing which computes needs"
            )
        case int() if signal == _SIGXCPU:
            return Failure("limit.cpu", "its worker used up the CPU time it was given")
        case int() if signal == _SIGXFSZ:
            return Failure("limit.disk", "its worker wrote a file larger than it may")
        case int() if signal == _SIGKILL:
            return Failure("agent.unavailable", "its worker was killed by the system, or by an operator")
        case _:
            why = ", as where memory ends" if signal in _OUT_OF_MEMORY else ""
            return Failure("agent.unavailable", f"its worker crashed with signal {signal}{why}")


def _ended_by_us(reason: Reason, told: str) -> Failure:
    match reason:
        case "time":
            return Failure("limit.time", told or "it did not answer in time, and was ended")
        case "cpu":
            return Failure("limit.cpu", told or "it used up its CPU time, and was ended")
        case "output":
            return Failure("limit.output", told or "its output is larger than it may be")
        case "memory":
            return Failure("limit.memory", told or "it asked for more memory than it reserved")
        case "protocol":
            return Failure("agent.unavailable", told or "its worker answered with what is no answer")
        case "withdrawn" | "closing":
            return Failure("agent.unavailable", told or "the call was given up")
