"""A row of executions as the SQL stores keep and select it, from a record and back into one.

Must never know: which database it came from.
"""

from __future__ import annotations

from typing import Any

import msgspec

from stratarouter_runtime.ports import Execution
from stratarouter_runtime.state.events import VERSION, Failure, Usage


def end_of(execution: Execution) -> tuple[str | None, str | None, str | None]:
    """Output, failure and usage as they are kept: JSON text or null."""
    return _text(execution.output), _text(execution.failure), _text(execution.usage)


def columns_of(execution: Execution) -> tuple[Any, ...]:
    """An execution that begins, as both statements `create` take it: from its id to what it used."""
    return (
        execution.id,
        execution.tenant,
        execution.flow,
        execution.plan,
        execution.status,
        execution.created,
        execution.updated,
        VERSION,
        *end_of(execution),
    )


def _text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def execution_of(row: tuple[Any, ...]) -> Execution:
    """The execution of a row of the statement `listed`: output, failure and usage are JSON text or null."""
    id_, tenant, flow, plan, status, created, output, failure, usage, updated, records = row
    return Execution(
        id=id_,
        tenant=tenant,
        flow=flow,
        plan=plan,
        status=status,
        created=created,
        updated=updated,
        records=records,
        output=None if output is None else msgspec.json.decode(output),
        failure=None if failure is None else msgspec.json.decode(failure, type=Failure),
        usage=None if usage is None else msgspec.json.decode(usage, type=Usage),
    )
