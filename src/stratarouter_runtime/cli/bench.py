"""`strata bench`: what the runtime reaches here, each figure beside its target and its limit.

Must never know: how anything is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from inspect import isawaitable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import uvloop
from cyclopts import Parameter
from msgspec import Struct

from stratarouter_runtime import settings
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.cli.arguments import Json
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.output import table, write
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.host import SyncLatency, cores, describe, sync_latency

if TYPE_CHECKING:
    from stratarouter_runtime.bench.peers import Peer
    from stratarouter_runtime.bench.reuse import Row
    from stratarouter_runtime.bench.routing import Accuracy

EXECUTIONS: Final = 1_000
AT_ONCE: Final = 50


class Report(Struct, frozen=True):
    """Everything measured in one run."""

    machine: str
    cores: int
    sync: SyncLatency
    measures: tuple[Measure, ...]


class Wanted(Struct, frozen=True):
    """How to measure; a part takes some of it, and None is what nobody has said."""

    folder: Path | None = None
    executions: int | None = None
    at_once: int | None = None
    store: str | None = None
    data: Path | None = None
    soak: float | None = None
    json: bool = False


Measures: TypeAlias = Sequence[Measure] | Awaitable[Sequence[Measure]]
Run: TypeAlias = Callable[[Wanted], int]


class Part(Struct, frozen=True):
    """Something to measure, and which of `Wanted` it takes."""

    run: Run
    takes: tuple[str, ...]


def bench(  # noqa: PLR0913 - one flag a part
    *,
    folder: Path | None = None,
    executions: int | None = None,
    at_once: int | None = None,
    store: str | None = None,
    data: Annotated[
        Path | None, Parameter(help="The folder with public data, for --routing and --cache.")
    ] = None,
    http: Annotated[bool, Parameter(help="Measure the HTTP API.")] = False,
    sandbox: Annotated[bool, Parameter(help="Measure walls around agents.")] = False,
    routing: Annotated[bool, Parameter(help="Measure how well texts are routed.")] = False,
    cache: Annotated[bool, Parameter(help="Measure the reuse of answers.")] = False,
    long: Annotated[bool, Parameter(help="Measure large stores and recovery.")] = False,
    soak: Annotated[float | None, Parameter(help="Measure memory under load, for so many seconds.")] = None,
    faults: Annotated[bool, Parameter(help="Kill at every point, and see what is lost.")] = False,
    json: Json = False,
) -> int:
    """Measure the runtime on this machine: its engine, or the part that is named.

    Parameters
    ----------
    folder
        On whose disk to measure; nothing stays there. By default the working directory.
    executions
        How many ten-step executions make the measure of throughput; by default 1,000.
    at_once
        How many of them are under way at the same time; by default 50.
    store
        The URL of a PostgreSQL database to measure with, in place of a file; what is run stays there.
    """
    switches = {"http": http, "sandbox": sandbox, "routing": routing, "cache": cache, "long": long}
    switches |= {"soak": soak is not None, "faults": faults}
    named = [name for name, on in switches.items() if on]
    if len(named) > 1:
        told = " and ".join(f"--{name}" for name in named)
        raise InvalidInput(f"{told}: one part is measured at a time", hint="begin strata bench once for each")
    name = named[0] if named else "engine"
    wanted = Wanted(folder, executions, at_once, store, data, soak, json)
    part = PARTS["pairs" if name == "cache" and data is not None else name]
    _check(name, part, wanted)
    return part.run(wanted)


def _check(name: str, part: Part, wanted: Wanted) -> None:
    """Raise `InvalidInput` for what the part would not look at."""
    given = [each for each in OPTIONS if getattr(wanted, each) is not None and each not in part.takes]
    if given:
        told = ", ".join(f"--{each.replace('_', '-')}" for each in given)
        raise InvalidInput(f"{told} says nothing to the measure of {name}", hint="leave it out")


def _measured(work: Callable[[Path, Wanted], Measures]) -> Run:
    """Measure in a folder of its own, and print a table."""

    def run(wanted: Wanted) -> int:
        with TemporaryDirectory(prefix="strata-bench-", dir=wanted.folder or Path()) as name:
            here = Path(name)
            sync = sync_latency(here, samples=200)
            report = Report(describe(), cores(), sync, tuple(uvloop.run(_done(work(here, wanted)))))
        write(report if wanted.json else _report(report))
        return Exit.OK

    return run


async def _done(measures: Measures) -> Sequence[Measure]:
    return await measures if isawaitable(measures) else measures


async def _engine(folder: Path, wanted: Wanted) -> Sequence[Measure]:
    from stratarouter_runtime.bench.engine import engine  # noqa: PLC0415 - start-up: each part has its own
    from stratarouter_runtime.bench.language import language  # noqa: PLC0415 - likewise
    from stratarouter_runtime.bench.start import start  # noqa: PLC0415 - likewise

    executions, at_once = wanted.executions or EXECUTIONS, wanted.at_once or AT_ONCE
    return (*language(), *await engine(folder, executions, at_once, wanted.store), start(folder))


async def _http(folder: Path, _: Wanted) -> Sequence[Measure]:
    from stratarouter_runtime.bench.http import http  # noqa: PLC0415 - brings the server along
    from stratarouter_runtime.bench.tenants import tenants  # noqa: PLC0415 - likewise

    return (*await http(folder), await tenants(folder))


async def _walls(_folder: Path, _: Wanted) -> Sequence[Measure]:
    from stratarouter_runtime.bench.walls import walls  # noqa: PLC0415 - forks, and needs two extras

    return await walls()


async def _cache(folder: Path, _: Wanted) -> Sequence[Measure]:
    from stratarouter_runtime.bench.cache import cache  # noqa: PLC0415 - brings the encoder along

    return await cache(folder)


async def _long(folder: Path, wanted: Wanted) -> Sequence[Measure]:
    from stratarouter_runtime.bench.long import long  # noqa: PLC0415 - start-up cost
    from stratarouter_runtime.bench.recovery import recovery  # noqa: PLC0415 - likewise

    return (*recovery(folder, wanted.store), *await long(folder, wanted.store))


async def _soak(folder: Path, wanted: Wanted) -> Sequence[Measure]:
    from stratarouter_runtime.bench.long import soak  # noqa: PLC0415 - start-up cost

    return await soak(folder, wanted.store, wanted.soak or 0.0)


def _faults(wanted: Wanted) -> int:
    from stratarouter_runtime.cli.faults import faults  # noqa: PLC0415 - start-up cost

    return faults(wanted.folder or Path(), wanted.store, json=wanted.json)


def _routing(wanted: Wanted) -> int:
    from stratarouter_runtime.bench.deciding import deciding  # noqa: PLC0415 - brings numpy along
    from stratarouter_runtime.bench.peers import measure as measure_peers  # noqa: PLC0415 - likewise
    from stratarouter_runtime.bench.routing import Encoded, measure  # noqa: PLC0415 - likewise
    from stratarouter_runtime.wiring import encoder  # noqa: PLC0415 - likewise

    chosen = encoder(settings.load())
    encoded = Encoded(chosen)
    found, peers = measure(encoded, wanted.data), measure_peers(encoded, wanted.data)
    measures = asyncio.run(deciding(chosen))
    if wanted.json:
        write({"accuracy": found, "peers": peers, "measures": measures})
    else:
        write("\n".join([_accuracies(found), "", _peers(peers), "", *_lines(measures)]))
    return Exit.OK


def _accuracies(found: Sequence[Accuracy]) -> str:
    titles = ("data", "right", "accepted", "refused", "nearest", "centroid", "p50 µs", "p99 µs")
    rows = []
    for one in found:
        shares = (one.right, one.accepted, one.refused, one.nearest, one.centroid)
        times = (f"{one.p50_us:.0f}", f"{one.p99_us:.0f}")
        rows.append((one.data, *(f"{share:.1%}" for share in shares), *times))
    return table(titles, rows)


def _peers(found: Sequence[Peer]) -> str:
    rows = [
        (one.name, one.data, f"{one.right:.1%}", f"{one.p50_ms:.3f}", f"{one.p99_ms:.3f}") for one in found
    ]
    return table(("peer, on the same vectors", "data", "right", "p50 ms", "p99 ms"), rows)


def _pairs(wanted: Wanted) -> int:
    """How often public pairs of questions are served that may be, and that must not be."""
    from stratarouter_runtime.bench.reuse import measure  # noqa: PLC0415 - brings the encoder along
    from stratarouter_runtime.wiring import encoder  # noqa: PLC0415 - likewise

    assert wanted.data is not None
    found = asyncio.run(measure(encoder(settings.load()), wanted.data))
    write(found if wanted.json else _served(found))
    return Exit.OK


def _served(found: Sequence[Row]) -> str:
    rows = [
        (one.data, one.policy, *(f"{share:.1f}" for share in (one.rightly, one.wrongly, one.held_out)))
        for one in found
    ]
    return table(("data", "policy", "rightly %", "wrongly %", "held out %"), rows)


def _report(report: Report) -> str:
    sync = f"a sync takes {report.sync.p50:.0f} µs (p99 {report.sync.p99:.0f} µs)"
    head = f"{report.machine}, {report.cores} cores; {sync}"
    return "\n".join([head, "", *_lines(report.measures)])


def _lines(measures: Sequence[Measure]) -> Iterator[str]:
    yield f"{'':<58}{'value':>12}{'target':>13}  {'':6}{'limit':>12}  {'ratio':>6}"
    for each in measures:
        mark = "ok" if each.reached else "MISSED"
        value, target, limit = (
            f"{figure:,.2f} {each.unit}" for figure in (each.value, each.target, each.limit)
        )
        yield (
            f"{each.name:<56}{value:>14}{target:>13}  {mark:<6}{limit:>14}{each.ratio:>7.1f}x  {each.against}"
        )


OPTIONS: Final = ("folder", "executions", "at_once", "store", "data")
"""What is said of a measure, but for which one it is and how it is printed."""

PARTS: Final = {
    "engine": Part(_measured(_engine), ("folder", "executions", "at_once", "store")),
    "http": Part(_measured(_http), ("folder",)),
    "sandbox": Part(_measured(_walls), ("folder",)),
    "routing": Part(_routing, ("data",)),
    "cache": Part(_measured(_cache), ("folder",)),
    "pairs": Part(_pairs, ("data",)),
    "long": Part(_measured(_long), ("folder", "store")),
    "soak": Part(_measured(_soak), ("folder", "store")),
    "faults": Part(_faults, ("folder", "store")),
}
