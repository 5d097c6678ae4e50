"""The matrix: every point of every shape on a store, each cell as often as the point is passed.

Must never know: how an execution runs, or where it is kept.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from stratarouter_runtime.bench.faults.lives import PATIENCE, Result, Trial, first_life, second_life, shape_of
from stratarouter_runtime.bench.faults.points import POINTS, Kill
from stratarouter_runtime.bench.faults.shapes import SHAPES, Notes

AT_ONCE: Final = 2
"""Cells at work at the same time, each on a file of its own. On a database one would take up another's."""

MOST: Final = 60
"""More often than any point is passed."""

_LIVES: Final = "stratarouter_runtime.bench.faults.lives"


class Cell(Struct, frozen=True):
    """What came of all kills at one point of one shape.

    `lost`: acknowledged, and not there or never ended. `doubled`: an effect was made twice, or one
    key became two executions. `repeated`: calls made again whose answer was not durable, which is
    allowed. `wrong`: anything else that must not be. `replayed`: journals that replay. `seconds`:
    the longest that it took until it was at work again, None where nothing was left.
    """

    store: str
    point: str
    shape: str
    kills: int
    lost: int
    doubled: int
    repeated: int
    replayed: int
    seconds: float | None
    wrong: tuple[str, ...]

    @property
    def green(self) -> bool:
        """Whether every promise was kept, and put to the test: every shape passes every point of its own."""
        return not (self.lost or self.doubled or self.wrong) and self.replayed == self.kills > 0


class _Seen(Struct, frozen=True):
    """One trial."""

    lost: bool
    doubled: int
    repeated: int
    result: Result
    wrong: tuple[str, ...]


def matrix(folder: Path, database: str | None = None) -> Iterator[Cell]:
    """All cells of a file, or of the database of a URL, as they are done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_LIVES])
    store = "SQLite" if database is None else "PostgreSQL"
    with ThreadPoolExecutor(AT_ONCE if database is None else 1) as workers:
        cells = [
            workers.submit(_cell, context, folder, store, database, point, shape.name)
            for shape in SHAPES
            for point in POINTS
            if point != "while it undoes" or shape.name == "saga"
        ]
        for cell in cells:
            yield cell.result()


def _cell(context: Any, folder: Path, store: str, database: str | None, point: str, shape: str) -> Cell:
    seen = []
    for at in count():
        assert at < MOST, f"{shape} passes '{point}' without end"
        key = f"{time.time_ns()} {shape} {point} {at}"
        place = folder / f"{shape} {point} {at}".replace(" ", "-")
        trial = Trial(shape, Kill(point, at), key, database or f"{place}.db", f"{place}.notes")
        one = _try(context, trial, f"{place}.json")
        if one is None:
            break
        seen.append(one)
        if one.result.status == "":  # neither will the next
            break
    times = [one.result.taken_up for one in seen if one.result.taken_up is not None]
    return Cell(
        store=store,
        point=point,
        shape=shape,
        kills=len(seen),
        lost=sum(one.lost for one in seen),
        doubled=sum(one.doubled for one in seen),
        repeated=sum(one.repeated for one in seen),
        replayed=sum(one.result.replays for one in seen),
        seconds=max(times, default=None),
        wrong=tuple(dict.fromkeys(word for one in seen for word in one.wrong)),
    )


def _try(context: Any, trial: Trial, into: str) -> _Seen | None:
    """One kill, and what came of it; None where the point was not passed so often."""
    first, hangs = _live(context, first_life, trial)
    killed = time.time_ns() // 1_000
    if hangs:
        return _Seen(False, 0, 0, Result(), ("the first process hangs",))
    if first.exitcode == 0:
        return None
    if first.exitcode != -signal.SIGKILL:
        said = " ".join(word for line in Notes(Path(trial.notes)).lines()[-1:] for word in line[1:])
        return _Seen(False, 0, 0, Result(), (f"the first process ended by {first.exitcode}: {said}",))
    _, hangs = _live(context, second_life, trial, into)
    path = Path(into)
    result = Result(error="the second process hangs" if hangs else "no word")
    if path.exists():
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    return _judge(trial, result, Notes(Path(trial.notes)).lines(), str(first.pid), killed)


def _live(context: Any, life: Callable[..., None], *given: object) -> tuple[Any, bool]:
    """A process that lived, and whether it had to be ended: one that hangs would keep the store."""
    process = context.Process(target=life, args=given, daemon=True)
    process.start()
    process.join(3 * PATIENCE)
    hangs = process.is_alive()
    if hangs:
        process.kill()
        process.join()
    return process, hangs


def _judge(trial: Trial, result: Result, lines: list[list[str]], first: str, killed: int) -> _Seen:
    shape, wrong = shape_of(trial), []
    calls = [(line[0] == first, line[2], (line[3], int(line[4]))) for line in lines if line[1] == "call"]
    before = Counter(call for own, _, call in calls if own)
    after = Counter(call for own, _, call in calls if not own)
    known = {(step, attempt) for at, step, attempt in result.answers if at <= killed}
    if again := sorted(known & after.keys()):
        wrong.append(f"was recorded, and called again: {again}")
    if dropped := _not_dropped(lines, shape.name):
        wrong.append(f"{dropped} bookings were not dropped")
    told = any(line[1] == "acknowledged" for line in lines)
    ended = (result.status, result.output) == (shape.status, shape.output)
    if not ended:
        wrong.append(result.error or f"came to {result.status} {result.output}, not to {shape.status}")
    paid = sum(agent == "pay" for _, agent, _ in calls)
    if paid == 0:
        wrong.append("was never paid")
    return _Seen(
        lost=told and not ended,
        doubled=max(0, paid - 1),
        repeated=sum((before & after).values()),
        result=result,
        wrong=tuple(wrong),
    )


def _not_dropped(lines: list[list[str]], shape: str) -> int:
    """How many of the two bookings of a saga nobody took back."""
    dropped = {line[3] for line in lines if line[1:3] == ["call", "drop"]}
    return 2 - len(dropped) if shape == "saga" else 0
