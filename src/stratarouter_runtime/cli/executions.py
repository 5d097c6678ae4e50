"""`strata ps`, `show`, `logs` and `replay`: look back at executions; nothing is run or changed.

Must never know: how a store keeps them, or how a decision is derived.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.cli.arguments import Json, Store
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.office import ask
from stratarouter_runtime.cli.output import table, write
from stratarouter_runtime.cli.words import Names, reason, step_of, summary, value_text
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import LOCAL, ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import Execution, Status
from stratarouter_runtime.services.history import Journaled, Proof
from stratarouter_runtime.state.codec import decode, encode
from stratarouter_runtime.state.events import Event, Record
from stratarouter_runtime.state.redaction import Redaction
from stratarouter_runtime.tcfp.times import time_text
from stratarouter_runtime.wiring import Application


class Shown(Struct, frozen=True):
    """What `show --json` prints: the execution, and its facts in order."""

    execution: Execution
    records: tuple[Any, ...]


def replay(execution: str, /, *, store: Store = None, json: Json = False) -> int:
    """Derive every decision of an execution again from its journal, and compare.

    Parameters
    ----------
    execution
        The id of an execution.
    """

    async def prove(app: Application) -> Proof:
        return await app.runtime.history.replay(ExecutionId(execution))

    proof = ask(store, prove)
    write(proof if json else proof_text(proof))
    return Exit.OK if proof.reproducible else Exit.FAILED


def show(execution: str, /, *, store: Store = None, json: Json = False) -> int:
    """Tell what happened in an execution, fact by fact.

    Parameters
    ----------
    execution
        The id of an execution.
    """

    async def read(app: Application) -> tuple[Journaled, Names]:
        journaled = await app.runtime.history.journal(ExecutionId(execution))
        plan = await app.runtime.flows.plan(journaled.execution.plan)
        redaction = Redaction(plan)
        shown = tuple(redaction.show(event) for event in journaled.events)
        return replace(journaled, events=shown), Names(plan)

    journaled, names = ask(store, read)
    if json:
        facts = map(_fact, journaled.records, journaled.events)
        write(Shown(journaled.execution, tuple(facts)))
    else:
        write("\n".join(story(journaled, names)))
    return Exit.OK


def logs(
    execution: str,
    /,
    *,
    follow: Annotated[
        bool, Parameter(name=("--follow", "-f"), help="Go on as facts come, until the execution ends.")
    ] = False,
    store: Store = None,
    json: Json = False,
) -> int:
    """Print the facts of an execution, one a line.

    Parameters
    ----------
    execution
        The id of an execution.
    """
    wanted = ExecutionId(execution)

    async def tell(app: Application) -> None:
        row = await app.runtime.history.find(wanted)
        plan = await app.runtime.flows.plan(row.plan)
        names, redaction = Names(plan), Redaction(plan)
        facts = (
            app.runtime.history.watch(wanted)
            if follow
            else _so_far(await app.runtime.history.journal(wanted))
        )
        async for record in facts:
            event = redaction.show(decode(record.body))
            write(_fact(record, event) if json else _line(record, event, row.created, names))
            sys.stdout.flush()

    ask(store, tell)
    return Exit.OK


def _fact(record: Record, event: Event) -> dict[str, Any]:
    return {"seq": record.seq, "at": time_text(record.at), **msgspec.json.decode(encode(event))}


def _line(record: Record, event: Event, start: int, names: Names) -> str:
    """A fact, after the seconds since its execution began."""
    step = step_of(event)
    who = f"{names.of(step)}: " if step is not None else ""
    return f"{(record.at - start) / 1e6:9.3f}s  {who}{names.what(event)}"


async def _so_far(journaled: Journaled) -> AsyncIterator[Record]:
    for record in journaled.records:
        yield record


def ps(
    *,
    flow: str | None = None,
    status: tuple[Status, ...] = (),
    tenant: str = LOCAL,
    limit: int = 20,
    store: Store = None,
    json: Json = False,
) -> int:
    """List executions, newest first.

    Parameters
    ----------
    flow
        Only those of this flow.
    status
        Only those in this state; may be given several times.
    tenant
        Whose.
    limit
        At most so many.
    """
    if limit < 1:
        raise InvalidInput(f"--limit is at least 1, not {limit}")

    async def search(app: Application) -> list[Execution]:
        only = FlowId(flow) if flow else None
        return await app.store.search(tenant=Tenant(tenant), flow=only, status=status, limit=limit)

    found = ask(store, search)
    titles = ("execution", "status", "started", "records", "flow")
    write(found if json else table(titles, map(_row, found)))
    return Exit.OK


def proof_text(proof: Proof) -> str:
    """What a replay found, in words."""
    if proof.reproducible:
        return f"{proof.execution}: reproducible, {proof.records} record{'s' if proof.records != 1 else ''}, chain {proof.link}"
    hint = f"\n  hint: {proof.hint}" if proof.hint else ""
    return f"{proof.execution}: NOT reproducible: {proof.divergence}{hint}"


def story(journaled: Journaled, names: Names) -> Iterator[str]:
    """The execution in one line, then a line a fact with the seconds since its start, then how it ended."""
    row = journaled.execution
    yield summary(row)
    yield f"flow {row.flow}, plan {row.plan}, started {time_text(row.created)}"
    start = journaled.records[0].at if journaled.records else row.created
    for record, event in zip(journaled.records, journaled.events, strict=True):
        yield _line(record, event, start, names)
    if row.failure is not None:
        yield f"failed: {reason(row.failure)}"
    elif row.status == "completed":
        yield f"output: {value_text(row.output)}"


def _row(row: Execution) -> tuple[str, ...]:
    started = time_text(row.created)[:19].replace("T", " ")
    return row.id, row.status, started, str(row.records), row.flow
