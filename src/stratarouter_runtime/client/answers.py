"""Answers of the server as clients get them: the records of the API, and what they say.

Must never know: how they were fetched.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from stratarouter_runtime.api.models import ExecutionAnswer
from stratarouter_runtime.client.errors import ClientError
from stratarouter_runtime.ports import ENDED


class Execution(ExecutionAnswer, frozen=True):
    """An execution as the server told it last."""

    @property
    def ended(self) -> bool:
        """Whether nothing changes it any more."""
        return self.status in ENDED

    @property
    def settled(self) -> bool:
        """Whether it has ended, or only somebody outside can move it on."""
        return self.ended or self.status in {"waiting", "paused"}

    def result(self) -> Any:
        """The output. Raises `ExecutionFailed` where there is none."""
        if self.status != "completed":
            raise ExecutionFailed(self)
        return self.output


class Fact(Struct, frozen=True):
    """One fact of an execution as it was journaled: its number, its kind, and its fields."""

    seq: int
    kind: str
    data: dict[str, Any]


class ExecutionFailed(ClientError):
    """The result of an execution was asked for that has none: it failed, or has not finished."""

    def __init__(self, execution: Execution) -> None:
        why = f"{execution.error.kind}: {execution.error.message}" if execution.error else "it has no result"
        super().__init__(f"{execution.execution_id} is {execution.status}: {why}")
        self.execution = execution
