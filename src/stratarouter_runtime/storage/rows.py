"""A row of executions as the SQL stores select it, back into a record.

Must never know: which database it came from.
"""

from __future__ import annotations

from typing import Any

import msgspec

from stratarouter_runtime.ports import Execution
from stratarouter_runtime.state.events import Failure, Usage


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
