"""Writes the journals of this version, which every later one has to replay.

    python -m tests.golden.write VERSION

One file a journal: the documents of the plans it names, and its records. What is there is
never written again: a journal that no longer replays is a mistake in the runtime.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
from msgspec import Struct

from stratarouter_runtime.cli.app import run
from stratarouter_runtime.ports import Execution, Store
from stratarouter_runtime.state.codec import decode
from stratarouter_runtime.state.events import Record
from stratarouter_runtime.state.migration import migrate
from stratarouter_runtime.state.replay import plans_of
from stratarouter_runtime.storage.sqlite import open_readonly
from stratarouter_runtime.testing.faults import at_once
from stratarouter_runtime.testing.plans import plan_of
from stratarouter_runtime.testing.simulation import story
from stratarouter_runtime.testing.simulator import START, Simulator
from stratarouter_runtime.testing.stage import Stage

FOLDER: Final = Path(__file__).parent
EXAMPLES: Final = FOLDER.parents[1] / "examples"
SEEDS: Final = 120
"""Stories of the simulation that journals are taken from."""

MOVING: Final = """
tcfp: "1.0"
flow: moving
agents: {a: {in: {n: int}, out: {n: int}, effect: pure}}
in: {n: int}
out: int
do:
  - {id: x, call: a, with: {n: =n}}
  - {id: y, call: a, with: {n: =x.n + 10}}
return: =y.n
"""


class Kept(Struct, frozen=True):
    """A record as it is written down: its time, its body as text, its link in hex digits."""

    at: int
    body: str
    link: str


class Golden(Struct, frozen=True):
    """A journal, and the documents of its plans, the one in force at its end last."""

    name: str
    plans: tuple[str, ...]
    records: tuple[Kept, ...]

    def journal(self) -> list[Record]:
        """The records."""
        return [
            Record(seq, each.at, each.body.encode(), bytes.fromhex(each.link))
            for seq, each in enumerate(self.records)
        ]


def golden(name: str, documents: list[bytes], records: list[Record]) -> Golden:
    """A journal as it is kept."""
    kept = (Kept(record.at, record.body.decode(), record.link.hex()) for record in records)
    return Golden(name, tuple(document.decode() for document in documents), tuple(kept))


def examples() -> Iterator[Golden]:
    """Every example flow on its own input, by its own agents; one that asks stands where it asks."""
    for folder in sorted(path.parent for path in EXAMPLES.glob("*/flow.yaml")):
        with TemporaryDirectory() as made:
            store = Path(made) / "s.db"
            given = ["--input", f"@{folder / 'input.json'}", "--seed", "golden", "--store", str(store)]
            code = run(["run", str(folder / "flow.yaml"), *given])
            assert code in {0, 1}, code
            yield asyncio.run(_first(folder.name, store))


async def _first(name: str, path: Path) -> Golden:
    store = open_readonly(path)
    try:
        row = (await store.search())[-1]
        return await _kept(f"example-{name}", store, row)
    finally:
        await store.close()


async def _kept(name: str, store: Store, row: Execution) -> Golden:
    records = await store.read(row.id)
    documents = [await store.plan(digest) for digest in plans_of(records)]
    return golden(name, [each for each in documents if each is not None], records)


def stories() -> Iterator[Golden]:
    """Journals of the simulation that have a mixture of facts which none before them had."""
    seen: set[tuple[Any, ...]] = set()
    for seed in range(SEEDS):
        stage = Stage(seed)
        stage.loop.run(story(stage))
        for row in stage.evidence.rows():
            events = [decode(record.body) for record in stage.evidence.records(row.id)]
            kinds = (row.flow, row.status, *sorted({type(event).__name__ for event in events}))
            if kinds not in seen:
                seen.add(kinds)
                yield at_once(_kept(f"story-{seed}-{row.flow}-{row.status}-{len(seen)}", stage.kept, row))
        stage.loop.close()


def moved() -> Golden:
    """An execution that went on with another plan."""
    plan, there = plan_of(MOVING), plan_of(MOVING.replace("+ 10", "+ 20"))
    agents = {"a": lambda given, _: {"n": given["n"] + 1}}
    begun = Simulator(plan, agents).run({"n": 1}, facts=0).records
    records = [*begun, *migrate(there, plan, begun, {}, START, "ann").records]
    ended = Simulator(there, agents, others={plan.digest: plan}).resume(records)
    return golden("moved", [plan.document, there.document], ended.records)


def main(version: str) -> int:
    """Write the set of a version; 1 where there is one."""
    folder = FOLDER / version
    if folder.exists():
        sys.stderr.write(f"the journals of {version} are there, and are never written again\n")
        return 1
    folder.mkdir()
    for each in (*examples(), *stories(), moved()):
        (folder / f"{each.name}.json").write_bytes(msgspec.json.encode(each) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
