"""`strata run --batch`: a file of inputs executed together, with a bar on a terminal.

Must never know: how a batch is worked off, or where it is kept.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stratarouter_runtime.cache.policy import NO_WISHES
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.session import Ended
from stratarouter_runtime.cli.values import read_bounded, strict_json
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ids import LOCAL, FlowId
from stratarouter_runtime.services.items import Progress, Refused, Wanted
from stratarouter_runtime.system import SystemEntropy
from stratarouter_runtime.tenancy.quotas import ITEMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratarouter_runtime.tcfp.plan import Plan
    from stratarouter_runtime.wiring import Application

GLANCE: Final = 0.1
"""Seconds between looks at how far it is."""


def read_items(path: Path, plan: Plan) -> list[Wanted | Refused]:
    """An input a line; a line that is no JSON is refused by itself. Raises `InvalidInput`."""
    lines = read_bounded(str(path)).splitlines()
    items = [_item(number, line, plan) for number, line in enumerate(lines, 1) if line.strip()]
    if not 1 <= len(items) <= ITEMS:
        raise InvalidInput(
            f"{path} has {len(items)} inputs", hint=f"1 to {ITEMS:,} are taken at once: split the file"
        )
    return items


async def drive(app: Application, plan: Plan, items: list[Wanted | Refused]) -> Ended:
    """Execute all, and print what became of each, in order, a line of JSON each."""
    await app.runtime.flows.offer(plan)
    id_ = SystemEntropy().execution_id().replace("exec_", "batch_", 1)
    batches = app.runtime.batches
    await batches.submit(LOCAL, id_, items, wishes=NO_WISHES)
    waiting = asyncio.ensure_future(batches.wait(LOCAL, id_))
    with _bar(len(items)) as show:
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=GLANCE)
            show(await batches.progress(LOCAL, id_))
    progress = waiting.result()
    counts = Counter(each.state for each in progress.outcomes)
    sys.stderr.write(", ".join(f"{number} {state}" for state, number in sorted(counts.items())) + "\n")
    lines = [msgspec.json.encode(_told(index, progress)).decode() for index in range(len(items))]
    code = Exit.OK if set(counts) == {"completed"} else Exit.FAILED
    return Ended(code, "\n".join(lines) + "\n")


def _item(number: int, line: bytes, plan: Plan) -> Wanted | Refused:
    where = f"line {number}"
    try:
        return Wanted(FlowId(plan.name), plan.digest, strict_json(line.decode("utf-8-sig"), where))
    except UnicodeDecodeError:
        return Refused("invalid-input", f"{where}: not UTF-8")
    except InvalidInput as error:
        return Refused("invalid-input", error.message)


def _told(index: int, progress: Progress) -> dict[str, Any]:
    outcome = progress.outcomes[index]
    told: dict[str, Any] = {"index": index, "status": outcome.state}
    if outcome.execution is not None:
        told |= {"execution_id": outcome.execution, "shared": outcome.shared}
    if outcome.refused is not None:
        told["error"] = outcome.refused
    if outcome.row is not None:
        told |= (
            {"output": outcome.row.output} if outcome.state == "completed" else {"error": outcome.row.failure}
        )
    return told


@contextmanager
def _bar(total: int) -> Iterator[Callable[[Progress], None]]:
    """A bar that grows on a terminal; nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - start-up: only on a terminal
    from rich.progress import Progress as Bar  # noqa: PLC0415 - as above

    with Bar(console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("items", total=total)

        def show(progress: Progress) -> None:
            done = sum(each.state not in ("queued", "running") for each in progress.outcomes)
            bar.update(task, completed=done)

        yield show
