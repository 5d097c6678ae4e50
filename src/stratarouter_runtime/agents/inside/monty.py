"""Python text on an interpreter of its own, with no files, no network and a clock that stands still.

Every call is a new session: nothing stays from one to the next, and `random` follows from the
seed of the call, so that an answer depends on the input, the seed and the text alone. Must never
know: which walls stand around.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_monty import CollectString, Monty, MontyRuntimeError, MontySyntaxError, ResourceLimits

from stratarouter_runtime.agents.inside import Answer, Ask
from stratarouter_runtime.builder.agents import AgentError

_CALLS: Final = "\nrun(**__strata_input)\n"
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_GRACE: Final = 1.0


def load() -> None:
    """The interpreter's client came with this module."""


def start(setup: Any) -> Answer:
    """Start the interpreter of `setup.binary` in here; the function `run` of `setup.code` answers."""
    # Ends with the worker, and with the group of processes that this leads.
    pool = ExitStack().enter_context(Monty(binary_path=setup["binary"], min_processes=1, max_processes=1))
    limits: ResourceLimits = {
        "max_feed_duration_secs": setup["cpu_seconds"],
        "max_memory": setup["memory"],
        "max_suspensions": 1_000,
    }

    def answer(ask: Ask) -> Any:
        return _run(pool, setup["code"] + _CALLS, ask, limits)

    return answer


def _run(pool: Monty, code: str, ask: Ask, limits: ResourceLimits) -> Any:
    session = pool.checkout(
        limits=limits,
        script_name="agent.py",
        os_policy={
            "datetime": _EPOCH,
            "timezone": "UTC",
            "sleep": "zero",
            "process_time": "zero",
            "random_start": {"seed": ask.seed},
        },
    )
    with session:
        try:
            return session.feed_run(
                code, inputs={"__strata_input": ask.input}, print_callback=CollectString()
            )
        except MontySyntaxError as error:
            raise AgentError("agent.unavailable", error.display("type-msg")) from None
        except MontyRuntimeError as error:
            raise AgentError(_kind(error.exception()), error.display("type-msg")) from None


def _kind(error: BaseException) -> str:
    match error:
        case MemoryError() | RecursionError():
            return "limit.memory"
        case TimeoutError():
            return "limit.cpu"
        case PermissionError() | NotImplementedError() | ModuleNotFoundError():
            return "sandbox"
        case _:
            return "agent.unavailable"
