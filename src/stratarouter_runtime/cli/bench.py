"""`strata bench`: what the runtime reaches here, each figure beside its target and its limit.

Must never know: how anything is measured.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import uvloop
from cyclopts import Parameter
from msgspec import Struct

from stratarouter_runtime import settings
from stratarouter_runtime.bench.engine import AT_ONCE, engine
from stratarouter_runtime.bench.language import language
from stratarouter_runtime.bench.measure import Measure
from stratarouter_runtime.bench.start import start
from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.faults import faults as fault_matrix
from stratarouter_runtime.host import SyncLatency, cores, describe, sync_latency


class Report(Struct, frozen=True):
    """Everything measured in one run."""

    machine: str
    cores: int
    sync: SyncLatency
    measures: tuple[Measure, ...]


def bench(  # noqa: PLR0913 - one flag a part
    *,
    folder: Path = Path(),
    executions: int = 1_000,
    at_once: int = AT_ONCE,
    store: str | None = None,
    sandbox: Annotated[bool, Parameter(negative=(), help="Measure walls around agents.")] = False,
    http: Annotated[bool, Parameter(negative=(), help="Measure the HTTP API.")] = False,
    routing: Annotated[bool, Parameter(negative=(), help="Measure how well texts are routed.")] = False,
    data: Annotated[
        Path | None, Parameter(help="The folder with public data, for --routing and --cache.")
    ] = None,
    cache: Annotated[bool, Parameter(negative=(), help="Measure the reuse of answers.")] = False,
    long: Annotated[bool, Parameter(negative=(), help="Measure large stores and recovery.")] = False,
    soak: Annotated[float | None, Parameter(help="Measure memory under load, for so many seconds.")] = None,
    faults: Annotated[
        bool, Parameter(negative=(), help="Kill at every point, and see what is lost.")
    ] = False,
    json: Annotated[bool, Parameter(help="Print one JSON document.")] = False,
) -> int:
    """Measure the runtime on this machine: its engine, or the part that is named.

    Parameters
    ----------
    folder
        On whose disk to measure; nothing stays there.
    executions
        How many ten-step executions make the measure of throughput.
    at_once
        How many of them are under way at the same time.
    store
        The URL of a PostgreSQL database to measure with, in place of a file; what is run stays there.
    """
    if routing:
        return _routed(data, json=json)
    if faults:
        return fault_matrix(folder, store, json=json)
    if cache and data is not None:
        return _reused(data, json=json)
    with TemporaryDirectory(prefix="strata-bench-", dir=folder) as name:
        here = Path(name)
        sync = sync_latency(here, samples=200)
        if sandbox:
            measures = uvloop.run(_walls())
        elif long or soak is not None:
            measures = _long(here, store, soak)
        elif cache:
            measures = uvloop.run(_cache(here))
        else:
            measures = uvloop.run(_http(here)) if http else _engine(here, executions, at_once, store)
    report = Report(describe(), cores(), sync, measures)
    sys.stdout.write((msgspec.json.encode(report).decode() if json else _table(report)) + "\n")
    return Exit.OK


def _routed(data: Path | None, *, json: bool) -> int:
    from stratarouter_runtime.bench.deciding import deciding  # noqa: PLC0415 - likewise
    from stratarouter_runtime.bench.routing import measure  # noqa: PLC0415 - brings the encoder along
    from stratarouter_runtime.wiring import encoder  # noqa: PLC0415 - likewise

    chosen = encoder(settings.load())
    found = measure(chosen, data)
    measures = tuple(asyncio.run(deciding(chosen)))
    if json:
        sys.stdout.write(msgspec.json.encode({"accuracy": found, "measures": measures}).decode() + "\n")
        return Exit.OK
    head = f"{'data':<28}{'right':>8}{'accepted':>10}{'refused':>9}{'nearest':>9}{'centroid':>10}{'p50 µs':>8}{'p99 µs':>8}"
    rows = [
        f"{one.data:<28}{one.right:>8.1%}{one.accepted:>10.1%}{one.refused:>9.1%}{one.nearest:>9.1%}"
        f"{one.centroid:>10.1%}{one.p50_us:>8.0f}{one.p99_us:>8.0f}"
        for one in found
    ]
    sys.stdout.write("\n".join([head, *rows, "", *_lines(measures)]) + "\n")
    return Exit.OK


def _engine(folder: Path, executions: int, at_once: int, store: str | None) -> tuple[Measure, ...]:
    return (*language(), *uvloop.run(engine(folder, executions, at_once, store)), start(folder))


def _long(folder: Path, store: str | None, seconds: float | None) -> tuple[Measure, ...]:
    from stratarouter_runtime.bench.long import long, soak  # noqa: PLC0415 - start-up cost
    from stratarouter_runtime.bench.recovery import recovery  # noqa: PLC0415 - likewise

    if seconds is not None:
        return tuple(uvloop.run(soak(folder, store, seconds)))
    return (*recovery(folder, store), *uvloop.run(long(folder, store)))


async def _walls() -> tuple[Measure, ...]:
    from stratarouter_runtime.bench.walls import walls  # noqa: PLC0415 - forks, and needs two extras

    return tuple(await walls())


async def _http(folder: Path) -> tuple[Measure, ...]:
    from stratarouter_runtime.bench.http import http  # noqa: PLC0415 - brings the server along
    from stratarouter_runtime.bench.tenants import tenants  # noqa: PLC0415 - likewise

    return (*await http(folder), await tenants(folder))


def _reused(data: Path, *, json: bool) -> int:
    """How often public pairs of questions are served that may be, and that must not be."""
    from stratarouter_runtime.bench.reuse import measure  # noqa: PLC0415 - brings the encoder along
    from stratarouter_runtime.wiring import encoder  # noqa: PLC0415 - likewise

    found = asyncio.run(measure(encoder(settings.load()), data))
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return Exit.OK
    lines = [f"{'data':<28}{'policy':<28}{'rightly %':>10}{'wrongly %':>10}{'held out %':>11}"]
    lines += [
        f"{one.data:<28}{one.policy:<28}{one.rightly:>10.1f}{one.wrongly:>10.1f}{one.held_out:>11.1f}"
        for one in found
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return Exit.OK


async def _cache(folder: Path) -> tuple[Measure, ...]:
    from stratarouter_runtime.bench.cache import cache  # noqa: PLC0415 - brings the encoder along

    return tuple(await cache(folder))


def _table(report: Report) -> str:
    sync = f"a sync takes {report.sync.p50:.0f} µs (p99 {report.sync.p99:.0f} µs)"
    head = f"{report.machine}, {report.cores} cores; {sync}"
    return "\n".join([head, "", *_lines(report.measures)])


def _lines(measures: tuple[Measure, ...]) -> Iterator[str]:
    yield f"{'':<58}{'value':>12}{'target':>13}  {'':6}{'limit':>12}  {'ratio':>6}"
    for each in measures:
        mark = "ok" if each.reached else "MISSED"
        value, target, limit = (
            f"{figure:,.2f} {each.unit}" for figure in (each.value, each.target, each.limit)
        )
        yield (
            f"{each.name:<56}{value:>14}{target:>13}  {mark:<6}{limit:>14}{each.ratio:>7.1f}x  {each.against}"
        )
