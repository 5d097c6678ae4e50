"""The demonstration itself: answer an inbox, kill the worker half way, and look at the damage.

Must never know: how a worker works, or how the outcome is shown.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import msgspec
from msgspec import Struct

from stratarouter_runtime.demo.evidence import Evidence, gather, recorded_steps
from stratarouter_runtime.demo.inbox import read_inbox
from stratarouter_runtime.demo.worker import Said, Work
from stratarouter_runtime.errors import StrataError

Tell: TypeAlias = Callable[[str], None]


class Watched(Struct):
    """What the workers have said so far."""

    accepted: dict[str, str]
    finished: set[str]
    resumed: int = 0


async def show(work: Work, folder: Path, tell: Tell) -> Evidence:
    """Run the demonstration in `folder`; what is told are lines for people.

    Raises `StrataError` where a worker fails, and what reading the inbox raises.
    """
    began = perf_counter()
    messages = read_inbox(Path(work.inbox), limit=work.limit)
    watched = Watched({}, set())
    tell(f"answering {len(messages)} messages, {work.at_once} at a time")
    first = await _start(work, folder)
    await _watch(first, watched, until=len(messages) // 2)
    first.kill()
    await first.wait()
    before = await recorded_steps(Path(work.store))
    tell(f"killed the worker (SIGKILL) with {len(watched.finished)} answered; starting another")
    second = await _start(work, folder)
    await _watch(second, watched, until=None)
    if await second.wait() != 0:
        log = (folder / "worker.log").read_text()
        raise StrataError(f"the worker of the demonstration failed: {log[-2_000:].strip()}")
    tell(f"it took {watched.resumed} unfinished executions up where their journals ended")
    return await gather(work, messages, watched.accepted, before, perf_counter() - began)


async def _start(work: Work, folder: Path) -> Process:
    with (folder / "worker.log").open("ab") as log:
        told = msgspec.json.encode(work).decode()
        module = "stratarouter_runtime.demo.worker"
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, told, stdout=PIPE, stderr=log
        )


async def _watch(worker: Process, watched: Watched, until: int | None) -> None:
    """Read along until that many have finished, or the worker has nothing more to say."""
    assert worker.stdout is not None
    async for line in worker.stdout:
        if not line.endswith(b"\n"):
            break
        said = msgspec.json.decode(line, type=Said)
        watched.resumed += said.resumed
        if said.execution:
            watched.accepted[said.execution] = said.message
        if said.what == "finished":
            watched.finished.add(said.execution)
        if until is not None and len(watched.finished) >= until:
            return
