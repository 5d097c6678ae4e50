"""One seed, one story: the production engine among crashes, rivals, bad disks and impatient people.

Only the ports are replaced. Clients start executions of the flows in `flows`, answer, pause,
move, fork and cancel them; troubles come over the processes; then the weather calms, and
whatever was begun must come to its end. `checker` judges what is left.

    python -m stratarouter_runtime.testing.simulation FIRST [COUNT]

Must never know: how the engine works.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Sequence
from typing import Final

from blake3 import blake3
from msgspec import Struct

from stratarouter_runtime.testing.checker import check
from stratarouter_runtime.testing.clients import PATIENCE, Client
from stratarouter_runtime.testing.evidence import Violation
from stratarouter_runtime.testing.faults import at_once
from stratarouter_runtime.testing.loop import Deadlock, Endless
from stratarouter_runtime.testing.stage import Stage
from stratarouter_runtime.testing.troubles import trouble

SELDOM: Final = (20_000, 20, 50)
"""How seldom the collector looks: a story leaves little behind, and all of it in circles."""


class Told(Struct, frozen=True):
    """What became of a story: its digest, which says whether two were the same; and what went wrong."""

    seed: int
    digest: str
    executions: int
    wrong: str = ""


def tell(seed: int) -> Told:
    """Tell the story of a seed, and judge it."""
    stage = Stage(seed)
    wrong = ""
    try:
        stage.loop.run(story(stage))
        check(stage.evidence, stage.loop)
    except (Violation, Deadlock, Endless) as found:
        wrong = f"{type(found).__name__}: {found}"
    finally:
        stage.loop.close()
    return Told(seed, _digest(stage), len(stage.evidence.rows()), wrong)


async def story(stage: Stage) -> None:
    """From the first request to the last end."""
    stage.begin_process()
    if stage.temper.rivals:
        stage.begin_rival()
    clients = [stage.loop.create_task(Client(stage, n).live()) for n in range(stage.temper.clients)]
    await trouble(stage)
    # No more of it: one process takes up all that is left, and is never helped again.
    stage.temper.calm()
    stage.world.calm()
    stage.leave_one()
    for client in clients:
        await client
    await _all_ended(stage)
    stage.end_process(stage.processes[0])
    stage.evidence.trespasses = stage.kept.trespasses
    stage.evidence.interruptions = stage.kept.interruptions
    stage.evidence.excused = not stage.well
    stage.evidence.alone = not {"rival", "stop"} & set(stage.temper.troubles)


async def _all_ended(stage: Stage) -> None:
    pause = 0.1
    while rows := at_once(stage.kept.unfinished()):
        if pause > PATIENCE:
            names = ", ".join(f"{row.id} of {row.flow}" for row in rows)
            raise Violation(f"never ends: {names}")
        await asyncio.sleep(pause)
        pause *= 2


def _digest(stage: Stage) -> str:
    """Of all journals, of the order of callbacks, and of every draw."""
    kept = stage.evidence
    links = sorted(kept.records(row.id)[-1].link.hex() for row in kept.rows())
    calls = [f"{called.call.key} {called.call.attempt} {called.answered}" for called in stage.world.calls]
    rest = [str(stage.loop.taken), str(stage.loop.elapsed), str(stage.chance.random())]
    return blake3("\n".join([*links, *calls, *rest]).encode()).hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Tell the stories of COUNT seeds from FIRST on; 1 where something went wrong in one of them."""
    first, count = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1
    gc.freeze()
    gc.set_threshold(*SELDOM)
    logging.disable()
    told = [tell(seed) for seed in range(first, first + count)]
    wrong = [each for each in told if each.wrong]
    for each in wrong:
        print(f"seed {each.seed}: {each.wrong}")  # noqa: T201 - this is its output
    print(f"{blake3(''.join(each.digest for each in told).encode()).hexdigest()} {count} seeds")  # noqa: T201 - likewise
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
