"""What comes over the processes of a story. Every kind of trouble is a function of the stage.

Must never know: what clients do meanwhile, or how the engine works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stratarouter_runtime.errors import StrataError
from stratarouter_runtime.testing.evidence import Drained
from stratarouter_runtime.testing.process import Gone
from stratarouter_runtime.testing.stage import SPAN

if TYPE_CHECKING:
    from stratarouter_runtime.testing.stage import Stage

Trouble: TypeAlias = "Callable[[Stage], Coroutine[Any, Any, None]]"


async def trouble(stage: Stage) -> None:
    """Let so many troubles come as the temper of the story says, one after the other."""
    kinds = stage.temper.troubles
    for _ in range(stage.temper.times if kinds else 0):
        await asyncio.sleep(stage.draw() * 0.08)
        await TROUBLES[kinds[int(stage.draw() * len(kinds))]](stage)


async def _crash(stage: Stage) -> None:
    stage.end_process(await stage.somebody())
    if not stage.processes:
        await asyncio.sleep(stage.draw() * 0.02)
        stage.begin_process()


async def _drain(stage: Stage) -> None:
    """Stop a process in good order."""
    process = await stage.somebody()
    patience = 0.05 + stage.draw()
    drained = Drained(process.number, stage.loop.elapsed, int(patience * 1e6))
    try:
        await process.ask(process.runtime.driver.drain(patience))
    except (Gone, StrataError):
        return
    # Who was stopped may have lost its work to another before it drained.
    well = not (process.store.errors + process.store.conflicts or process.was_stopped)
    if well and process in stage.processes:
        stage.evidence.drained.append(drained)
    if process in stage.processes:
        stage.end_process(process)
    if not stage.processes:
        stage.begin_process()


async def _stop(stage: Stage) -> None:
    """Stop a process, for longer than its lease or not: it does not know how long."""
    process = await stage.somebody()
    process.stop()
    stage.loop.call_later(stage.draw() * 4 * SPAN, process.go_on)


async def _rival(stage: Stage) -> None:
    stage.begin_rival()


async def _jump(stage: Stage) -> None:
    """Set a clock, by microseconds or by an hour."""
    process = await stage.somebody()
    process.clock.off += int((stage.draw() - 0.5) * 2 ** (stage.draw() * 33))


async def _full(stage: Stage) -> None:
    stage.temper.weather.full = stage.loop.elapsed + int(stage.draw() * 60_000)


async def _away(stage: Stage) -> None:
    stage.temper.weather.away = stage.loop.elapsed + int(stage.draw() * 60_000)


TROUBLES: Final[dict[str, Trouble]] = {
    "crash": _crash,
    "drain": _drain,
    "rival": _rival,
    "stop": _stop,
    "jump": _jump,
    "full": _full,
    "away": _away,
}
