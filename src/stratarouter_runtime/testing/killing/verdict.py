"""What must be true once the killing is over: of the store, of what clients were told, of what services saw.

The rules are those of the simulation. Must never know: who was killed when.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.settings import Settings
from stratarouter_runtime.state.replay import plans_of
from stratarouter_runtime.tcfp.compiler import compile_document
from stratarouter_runtime.testing.checker import check_kept
from stratarouter_runtime.testing.evidence import Evidence, Violation
from stratarouter_runtime.wiring import application

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.ports import Store
    from stratarouter_runtime.tcfp.plan import Plan
    from stratarouter_runtime.testing.killing.clients import History
    from stratarouter_runtime.testing.killing.outside import Outside


class Verdict(Struct, frozen=True):
    """How many executions there are, in which status, with how many facts; nothing is wrong with any."""

    executions: int
    facts: int
    statuses: dict[str, int]


def judge(place: str, history: History, outside: Outside) -> Verdict:
    """All that the store at `place` keeps. Raises `Violation` for the first promise that was broken."""
    if history.wrong:
        raise Violation(history.wrong[0])
    with asyncio.Runner() as runner:
        opened = application(Settings(), Registry(), store=place, readonly=True)
        app = runner.run(opened.__aenter__())
        try:
            return _judge(app.store, history, outside, runner)
        finally:
            runner.run(opened.__aexit__(None, None, None))


def _judge(store: Store, history: History, outside: Outside, runner: asyncio.Runner) -> Verdict:
    evidence = Evidence(
        world=outside,
        kept=store,
        finish=runner.run,
        accepted=history.accepted,
        answers=history.answers,
        cancels=history.cancels,
    )
    rows = {row.id: row for row in evidence.rows()}
    evidence.plans = runner.run(_plans(store))
    for execution, (status, output) in history.ends.items():
        found = rows.get(execution)
        if found is None:
            raise Violation(f"{execution} had ended, and is lost")
        evidence.ends[execution] = replace(found, status=status, output=output)
    check_kept(evidence)
    facts = sum(row.records for row in rows.values())
    return Verdict(len(rows), facts, dict(Counter(row.status for row in rows.values())))


async def _plans(store: Store) -> dict[Digest, Plan]:
    """Every plan that a journal names, from the document that is kept of it."""
    plans: dict[Digest, Plan] = {}
    for row in await store.search(limit=1_000_000):
        for digest in plans_of(await store.read(row.id)):
            if digest not in plans:
                document = await store.plan(digest)
                if document is None:
                    raise Violation(f"the plan of {row.id} is lost")
                plans[digest] = compile_document(document)
    return plans
