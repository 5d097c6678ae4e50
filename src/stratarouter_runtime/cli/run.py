"""`strata run`, `resume` and `answer`: executions that this process drives.

Must never know: how an execution is driven or watched, or where it is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final, TypeVar

from stratarouter_runtime.cli import batches
from stratarouter_runtime.cli.arguments import STDIN, Agents, Budgets, Inputs, Json, Store, budget
from stratarouter_runtime.cli.flows import CALLED, Document, documents, read, rejected
from stratarouter_runtime.cli.session import Ended, Session, runnable
from stratarouter_runtime.cli.values import check_complete, gather, value
from stratarouter_runtime.errors import InvalidFlow, InvalidInput, NotFound
from stratarouter_runtime.ids import ExecutionId, FlowId
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.state.interruption import verdict_type
from stratarouter_runtime.tcfp.plan import Ask, Call, Plan, Route
from stratarouter_runtime.tcfp.types import JSON, RecordType
from stratarouter_runtime.wiring import Application

T = TypeVar("T")

LONGEST_SEED: Final = 64


def run(
    flow: str,
    /,
    *,
    input_: Inputs = (),
    agents: Agents = None,
    seed: str | None = None,
    batch: Path | None = None,
    budgets: Budgets = (),
    store: Store = None,
    json: Json = False,
) -> int:
    """Execute a flow durably and print its output.

    Parameters
    ----------
    flow
        A flow in YAML or JSON; - reads standard input.
    seed
        What the run draws its randomness from; by default a new one.
    batch
        A file with an input a line, as JSON: all are executed, and what became of each is printed.
    """
    if flow == STDIN and STDIN in input_:
        raise InvalidInput("standard input cannot be both the flow and its input", hint="use --input @FILE")
    if seed is not None and not 1 <= len(seed) <= LONGEST_SEED:
        raise InvalidInput(f"--seed takes text of 1 to {LONGEST_SEED} characters, not of {len(seed)}")
    if batch is not None and (input_ or seed is not None):
        raise InvalidInput("--batch brings the inputs itself", hint="leave out --input and --seed")
    limits = budget(budgets)
    document = read(flow)
    folder = Path() if flow == STDIN else Path(flow).parent
    session = Session(store, agents, folder, json)

    async def start(app: Application) -> Ended:
        for other in documents(folder, CALLED):
            await app.runtime.flows.offer(compiled(app, other))
        plan = compiled(app, document)
        declared = plan.input.type
        assert isinstance(declared, RecordType)
        if batch is not None:
            return await batches.drive(app, plan, batches.read_items(batch, plan))
        given = gather(input_, declared, sys.stdin.buffer.read)
        check_complete(given, declared)
        request = StartExecution(plan=plan, input=given, flow=FlowId(plan.name), seed=seed, budget=limits)
        return await session.drive(app, plan, app.runtime.start(request))

    return session.run(start)


def resume(execution: str, /, *, agents: Agents = None, store: Store = None, json: Json = False) -> int:
    """Go on with an execution that was interrupted, where its journal ends.

    Parameters
    ----------
    execution
        The id of an execution.
    """
    wanted = ExecutionId(execution)
    session = Session(store, agents, json=json)

    async def go_on(app: Application) -> Ended:
        plan = await runnable(app, wanted)

        async def resumed() -> ExecutionId:
            await app.runtime.controls.resume(wanted)
            return wanted

        return await session.drive(app, plan, resumed())

    return session.run(go_on)


def answer(
    execution: str,
    step: str,
    answer: str,
    /,
    *,
    by: str = "",
    agents: Agents = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Answer the question of a waiting execution, and go on with it.

    Parameters
    ----------
    execution
        The id of an execution.
    step
        The step that asks, by its path or its name.
    answer
        The value: JSON where that fits the type asked for, else the text itself.
    by
        Who answers; kept in the journal.
    """
    wanted = ExecutionId(execution)
    session = Session(store, agents, json=json)

    async def tell(app: Application) -> Ended:
        plan = await runnable(app, wanted)

        async def answered() -> ExecutionId:
            await app.runtime.controls.answer(wanted, step, _answer(plan, step, answer), by)
            return wanted

        return await session.drive(app, plan, answered())

    return session.run(tell)


def compiled(app: Application, document: Document) -> Plan:
    """The plan of a document, with the agents at hand. Raises `Rejected`."""
    try:
        return app.runtime.flows.compile(document.source)
    except InvalidFlow as error:
        raise rejected(document, error) from error


def _answer(plan: Plan, step: str, text: str) -> Any:
    path = step.partition("[")[0]
    for op in plan.ops:
        if path in (op.path, op.name) and isinstance(op.does, Ask):
            return value(text, op.does.answer.type, "the answer")
        if path in (op.path, op.name) and isinstance(op.does, Call | Route):
            return value(text, verdict_type(JSON), "the answer")
    asking = [op.name for op in plan.ops if isinstance(op.does, Ask) and not op.does.sleep]
    raise NotFound(f"no step '{step}' asks anything", hint=f"steps that ask: {', '.join(asking) or 'none'}")
