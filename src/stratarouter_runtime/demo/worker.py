"""The process that does the work: recovers what is unfinished, then answers the inbox.

It is started by `demo.show`, may be killed at any moment, and says on standard output what
is durable: one JSON object a line. Must never know: who reads along, or when it will die.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from stratarouter_runtime.demo.counting import Notebook, counted
from stratarouter_runtime.demo.inbox import Message, read_inbox
from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.requests import StartExecution
from stratarouter_runtime.settings import load
from stratarouter_runtime.tcfp.plan import Plan
from stratarouter_runtime.wiring import Application, application
from stratarouter_runtime.workshops import open_project


class Work(Struct, frozen=True):
    """What a worker is told: where things are, how many messages, how many at once."""

    flow: str
    inbox: str
    store: str
    notes: str
    seed: str
    limit: int | None
    at_once: int


class Said(Struct, frozen=True, omit_defaults=True):
    """What a worker says: an execution is `accepted` or `finished`, or work is taken up again."""

    what: str
    execution: str = ""
    message: str = ""
    resumed: int = 0


async def main(work: Work) -> None:
    """Recover, then answer every message of the inbox, each under a key of its own."""
    notebook = Notebook(Path(work.notes))
    registry = counted(open_project(Path(work.flow).parent), notebook)
    source = Path(work.flow).read_bytes()  # noqa: ASYNC240 - nothing waits yet
    messages = read_inbox(Path(work.inbox), limit=work.limit)
    async with application(load(), registry, store=work.store) as app:
        recovery = await app.runtime.recover()
        say(Said("recovered", resumed=len(recovery.resumed)))
        plan = app.runtime.flows.compile(source)
        places = asyncio.Semaphore(work.at_once)
        await asyncio.gather(*(answer(app, plan, work, message, places) for message in messages))
    notebook.close()


async def answer(
    app: Application, plan: Plan, work: Work, message: Message, places: asyncio.Semaphore
) -> None:
    """One message: the key makes a second start the same execution, so nothing is answered twice."""
    async with places:
        given = {"message": {"id": message.id, "subject": message.subject, "text": message.text}}
        seed = f"{work.seed}/{message.id}"
        request = StartExecution(plan, given, FlowId(plan.name), key=f"inbox/{message.id}", seed=seed)
        execution = await app.runtime.start(request)
        say(Said("accepted", execution, message.id))
        await app.runtime.wait(execution)
        say(Said("finished", execution, message.id))


def say(said: Said) -> None:
    """Tell whoever reads along."""
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Work)))
