"""`strata run`, `resume` and `answer`: executions that this process drives.

What they print on standard output is the result; how it goes is told on standard error.
Must never know: how an execution is driven, or where it is kept.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from cyclopts import Parameter

from stratarouter_runtime import settings
from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.cli import live
from stratarouter_runtime.cli.arguments import STDIN, Json, Store
from stratarouter_runtime.cli.exits import Exit, of_failure
from stratarouter_runtime.cli.flows import Document, in_calling_order, read, rejected
from stratarouter_runtime.cli.signals import Stopped, heeding
from stratarouter_runtime.cli.values import gather, value
from stratarouter_runtime.cli.words import Names, reason, summary
from stratarouter_runtime.errors import InvalidFlow, LinkError, NotFound
from stratarouter_runtime.executor.plans import Plans
from stratarouter_runtime.ids import ExecutionId, FlowId
from stratarouter_runtime.ports import Execution
from stratarouter_runtime.runtime import StartExecution
from stratarouter_runtime.state.events import Asked
from stratarouter_runtime.tcfp.plan import Ask, Plan
from stratarouter_runtime.tcfp.types import RecordType
from stratarouter_runtime.wiring import Application, application, open_module, open_project

T = TypeVar("T")

CALLABLE: Final = "flows/*.yaml"
"""The flows of a project that others call, below its folder."""

Agents: TypeAlias = Annotated[
    str | None, Parameter(help="The folder with agents.py or agents.yaml, or the name of a module.")
]
Inputs: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(name="--input", help="An input as name=value, @file.json, or - for standard input."),
]


def run(
    flow: str,
    /,
    *,
    input_: Inputs = (),
    agents: Agents = None,
    seed: str | None = None,
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
    """
    document = read(flow)
    folder = Path() if flow == STDIN else Path(flow).parent

    async def start(app: Application) -> int:
        for other in in_calling_order(read(str(path)) for path in sorted(folder.glob(CALLABLE))):
            await app.runtime.offer(_compile(app, other))
        plan = _compile(app, document)
        declared = plan.input.type
        assert isinstance(declared, RecordType)
        given = gather(input_, declared, sys.stdin.buffer.read)
        request = StartExecution(plan=plan, input=given, flow=FlowId(plan.name), seed=seed)
        return await _drive(app, plan, app.runtime.start(request), json=json)

    return _session(store, _agents(agents, folder), start)


def resume(execution: str, /, *, agents: Agents = None, store: Store = None, json: Json = False) -> int:
    """Go on with an execution that was interrupted, where its journal ends.

    Parameters
    ----------
    execution
        The id of an execution.
    """
    wanted = ExecutionId(execution)

    async def go_on(app: Application) -> int:
        plan = await _plan(app, wanted)

        async def resumed() -> ExecutionId:
            await app.runtime.resume(wanted)
            return wanted

        return await _drive(app, plan, resumed(), json=json)

    return _session(store, _agents(agents, Path()), go_on)


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

    async def tell(app: Application) -> int:
        plan = await _plan(app, wanted)

        async def answered() -> ExecutionId:
            await app.runtime.answer(wanted, step, _answer(plan, step, answer), by)
            return wanted

        return await _drive(app, plan, answered(), json=json)

    return _session(store, _agents(agents, Path()), tell)


def _agents(named: str | None, folder: Path) -> Registry:
    """The agents of the folder or module that is named, or else of `folder`."""
    if named is None or Path(named).is_dir():
        return open_project(folder if named is None else Path(named))
    if "/" in named or named.endswith(".py"):
        raise NotFound(
            f"no folder {named}", hint="--agents names the folder that agents.py is in, or a module"
        )
    return open_module(named)


def _compile(app: Application, document: Document) -> Plan:
    try:
        return app.runtime.compile(document.source)
    except InvalidFlow as error:
        raise rejected(document, error) from error


def _session(store: Path | None, registry: Registry, work: Callable[[Application], Awaitable[int]]) -> int:
    """Run `work` with an application around it; a signal drains it first, then ends the process."""

    async def session() -> int:
        async with application(settings.load(), registry, store=store) as app:
            try:
                return await heeding(work(app))
            except Stopped as stopped:
                sys.stderr.write(
                    f"stopping on {stopped}: calls under way may finish; once more to exit now\n"
                )
                return stopped.code

    return asyncio.run(session())


async def _drive(app: Application, plan: Plan, begin: Awaitable[ExecutionId], *, json: bool) -> int:
    """Set an execution to work and watch it to its end, or until it waits for an answer."""
    with ExitStack() as watching:
        if not json:
            watcher = live.observer(plan, sys.stderr)
            app.observers.add(watcher)
            watching.callback(app.observers.remove, watcher)
            if isinstance(watcher, live.Growing):
                watching.enter_context(watcher)
        execution = await begin
        row = await app.runtime.wait(execution)
    if json:
        _print(row)
        return _code(row)
    return await _tell(app, plan, row)


async def _tell(app: Application, plan: Plan, row: Execution) -> int:
    sys.stderr.write(f"{summary(row)}\n")
    if row.failure is not None:
        where = Names(plan).of(row.failure.step)
        sys.stderr.write(f"error: {reason(row.failure)}\n  at {where}\n  hint: strata show {row.id}\n")
    elif row.status == "completed":
        _print(row.output, indent=2)
    elif row.status == "waiting":
        sys.stderr.writelines(await _questions(app, plan, row))
    return _code(row)


async def _questions(app: Application, plan: Plan, row: Execution) -> list[str]:
    """What the execution waits for, and how to answer."""
    events = (await app.runtime.journal(row.id)).events
    asked = [event for event in events if isinstance(event, Asked)]
    names = Names(plan)
    return [
        f"{names.of(event.step)} asks {event.sender or 'anybody'} for {event.type}\n"
        f"  hint: strata answer {row.id} {event.step} VALUE\n"
        for event in asked[-1:]
    ]


def _code(row: Execution) -> int:
    if row.failure is not None:
        return of_failure(row.failure.kind)
    return Exit.FAILED if row.status in {"failed", "cancelled", "timed_out"} else Exit.OK


async def _plan(app: Application, execution: ExecutionId) -> Plan:
    """The plan of an execution. Raises `LinkError` unless every agent of it is at hand, unchanged.

    Without this the execution would go on, and fail at the first agent that is missing.
    """
    row = await app.runtime.find(execution)
    plan = await Plans(app.store).get(row.plan)
    wrong = [
        f"agent '{agent.name}' is not at hand" for agent in plan.agents if agent.name not in app.registry
    ]
    wrong += [
        f"agent '{agent.name}' has changed since the execution began"
        for agent in plan.agents
        if agent.name in app.registry and app.registry[agent.name].digest != agent.digest
    ]
    if wrong:
        raise LinkError("; ".join(wrong), hint="name the folder with its agents: --agents FOLDER")
    return plan


def _answer(plan: Plan, step: str, text: str) -> Any:
    path = step.partition("[")[0]
    for op in plan.ops:
        if path in (op.path, op.name) and isinstance(op.does, Ask):
            return value(text, op.does.answer.type)
    asking = [op.name for op in plan.ops if isinstance(op.does, Ask) and not op.does.sleep]
    raise NotFound(f"no step '{step}' asks anything", hint=f"steps that ask: {', '.join(asking) or 'none'}")


def _print(what: object, indent: int = 0) -> None:
    text = msgspec.json.encode(what)
    sys.stdout.write((msgspec.json.format(text, indent=indent) if indent else text).decode() + "\n")
