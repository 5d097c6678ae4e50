"""`strata cancel`, `fork`, `migrate` and `diff`: end an execution, begin it another way, go on another way, compare.

Must never know: how an execution is ended, or which facts a fork can keep.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType

from stratarouter_runtime.cli.arguments import Agents, Budgets, Inputs, Json, Store, budget
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.flows import read
from stratarouter_runtime.cli.office import ask
from stratarouter_runtime.cli.output import write
from stratarouter_runtime.cli.run import compiled
from stratarouter_runtime.cli.session import Ended, Session, runnable
from stratarouter_runtime.cli.values import gather, strict_json
from stratarouter_runtime.cli.words import Names, value_text
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import ExecutionId
from stratarouter_runtime.services.history import Journaled
from stratarouter_runtime.state.difference import Difference
from stratarouter_runtime.state.events import Started
from stratarouter_runtime.state.fork import Change
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.tcfp.types import RecordType
from stratarouter_runtime.wiring import Application


def cancel(
    execution: str, /, *, reason: str = "", agents: Agents = None, store: Store = None, json: Json = False
) -> int:
    """End an execution that has not finished, undoing what it completed.

    Parameters
    ----------
    execution
        The id of an execution.
    reason
        Why; kept in the journal.
    """
    wanted = ExecutionId(execution)
    session = Session(store, agents, json=json)

    async def end(app: Application) -> Ended:
        plan = await runnable(app, wanted)

        async def cancelled() -> ExecutionId:
            await app.runtime.controls.cancel(wanted, reason)
            return wanted

        return await session.drive(app, plan, cancelled())

    return session.run(end)


def migrate(
    execution: str,
    /,
    *,
    flow: Path | None = None,
    by: str = "",
    agents: Agents = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Let an execution go on with another version of its flow, where all it has done stays the same.

    Parameters
    ----------
    execution
        The id of an execution that has not finished.
    flow
        The file of that version; else the version that is deployed.
    by
        Who wants it; kept in the journal.
    """
    wanted = ExecutionId(execution)
    session = Session(store, agents, home=Path() if flow is None else flow.parent, json=json)

    async def move(app: Application) -> Ended:
        target = await _target(app, wanted, flow)

        async def moved() -> ExecutionId:
            await app.runtime.controls.migrate(wanted, target, by)
            return wanted

        return await session.drive(app, target, moved())

    return session.run(move)


async def _target(app: Application, execution: ExecutionId, flow: Path | None) -> Plan:
    """The plan to go on with."""
    if flow is not None:
        return compiled(app, read(str(flow)))
    row = await app.runtime.history.find(execution)
    _, plan = await app.runtime.flows.deployed(row.tenant, row.flow)
    return plan


def fork(
    execution: str,
    /,
    *,
    step: str | None = None,
    output: str | None = None,
    input_: Inputs = (),
    budgets: Budgets = (),
    agents: Agents = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Begin an execution that takes over the facts of another, as far as they hold.

    With nothing named, what succeeded is kept and what failed is tried again.

    Parameters
    ----------
    execution
        The id of an execution, finished or not.
    step
        The step to begin at, by its path or its name; it is run again, and what comes after it.
    output
        What the step is to have answered instead, as JSON.
    """
    wanted = ExecutionId(execution)
    session = Session(store, agents, json=json)

    async def begin(app: Application) -> Ended:
        plan = await runnable(app, wanted)
        given = _input(input_, plan, await app.runtime.history.journal(wanted))
        change = Change(step, given, UNSET if output is None else _output(output), budget(budgets))
        return await session.drive(app, plan, app.runtime.controls.fork(wanted, change))

    return session.run(begin)


def diff(left: str, right: str, /, *, store: Store = None, json: Json = False) -> int:
    """Show the steps that came to something else in one execution than in the other.

    Parameters
    ----------
    left
        The id of an execution.
    right
        The id of another.
    """

    async def compare(app: Application) -> tuple[list[Difference], Names]:
        here, there = ExecutionId(left), ExecutionId(right)
        plan = await app.runtime.flows.plan((await app.runtime.history.find(here)).plan)
        return await app.runtime.history.difference(here, there), Names(plan)

    found, names = ask(store, compare)
    write(found if json else "\n".join(_lines(each, names) for each in found) or "no difference")
    return Exit.OK


def _lines(found: Difference, names: Names) -> str:
    where = found.step if found.step in {"", "input"} else names.of(found.step)
    return f"{where or 'the flow'}\n  - {value_text(found.left)}\n  + {value_text(found.right)}"


def _input(given: Inputs, plan: Plan, journaled: Journaled) -> Any | UnsetType:
    """The input of the execution with what is given in place of its own fields."""
    if not given:
        return UNSET
    started, declared = journaled.events[0], plan.input.type
    assert isinstance(started, Started)
    assert isinstance(declared, RecordType)
    return {**started.input, **gather(given, declared, sys.stdin.buffer.read)}


def _output(text: str) -> Any:
    try:
        return strict_json(text, "--output")
    except InvalidInput as error:
        error.hint = "text needs quotes of its own: --output '\"text\"'"
        raise
