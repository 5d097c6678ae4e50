"""Python text on an interpreter of its own, with no files, no network and a clock that stands still.

Every call has a session of its own, made before it was asked for: nothing stays from one to the
next, and `random` follows from the seed of the call, so that an answer depends on the input, the
seed and the text alone. Must never know: which walls stand around.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic_monty import (
    CollectString,
    Monty,
    MontyError,
    MontyRuntimeError,
    MontySession,
    MontySyntaxError,
    ResourceLimits,
)

from stratarouter_runtime.builder.agents import AgentError

if TYPE_CHECKING:
    from stratarouter_runtime.ports import Answer, Ask

_WRAPS: Final = """
import random as __strata_random
def __strata_call(given, seed):
    __strata_random.seed(seed)
    return run(**given)
"""
_CALLS: Final = "__strata_call(__strata_input, __strata_seed)"
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def load() -> None:
    """The interpreter's client came with this module."""


def start(setup: Any) -> Answer:
    """Start the interpreter of `setup.binary` in here; the function `run` of `setup.code` answers."""
    # Ends with the worker, and with the group of processes that this leads.
    pool = ExitStack().enter_context(Monty(binary_path=setup["binary"], min_processes=1, max_processes=1))
    return _Text(pool, setup)


class _Text:
    """Answers with sessions that have read the text already."""

    def __init__(self, pool: Monty, setup: Any) -> None:
        self._pool = pool
        self._code = setup["code"]
        self._limits: ResourceLimits = {
            "max_feed_duration_secs": setup["cpu_seconds"],
            "max_memory": setup["memory"],
            "max_suspensions": 1_000,
        }
        self._held = ExitStack()
        self._session: MontySession | None = None
        self._fault: AgentError | None = None
        self.ready()

    def ready(self) -> None:
        """Have a new session read the text; what is wrong with it is told when somebody calls."""
        with suppress(MontyError):
            self._held.close()
        self._held, self._fault, self._session = ExitStack(), None, None
        session = self._held.enter_context(
            self._pool.checkout(
                limits=self._limits,
                script_name="agent.py",
                os_policy={
                    "datetime": _EPOCH,
                    "timezone": "UTC",
                    "sleep": "zero",
                    "process_time": "zero",
                    "random_start": {"seed": 0},
                },
            )
        )
        try:
            session.feed_run(self._code, print_callback=CollectString())
            session.feed_run(_WRAPS, print_callback=CollectString())
        except MontyError as error:
            self._fault = _failure(error)
        self._session = session

    def __call__(self, ask: Ask) -> Any:
        if self._session is None:
            self.ready()
        if self._fault is not None:
            raise self._fault
        session, self._session = self._session, None
        assert session is not None
        given = {"__strata_input": ask.input, "__strata_seed": ask.seed}
        try:
            return session.feed_run(_CALLS, inputs=given, print_callback=CollectString())
        except MontyError as error:
            raise _failure(error) from None


def _failure(error: MontyError) -> AgentError:
    match error:
        case MontySyntaxError():
            return AgentError("agent.unavailable", error.display("type-msg"))
        case MontyRuntimeError():
            return AgentError(_kind(error.exception()), error.display("type-msg"))
        case _:
            return AgentError("agent.unavailable", f"its interpreter failed: {error}")


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
