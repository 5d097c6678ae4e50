"""What the HTTP API reaches, beside the same server with nothing behind it.

Both servers are processes of their own, on the same two ends of the same connections. Must
never know: how requests are answered.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from stratarouter_runtime.bench.flows import chain
from stratarouter_runtime.bench.measure import Measure, processor_seconds
from stratarouter_runtime.bench.telling import telling
from stratarouter_runtime.bench.wire import Load, load, request
from stratarouter_runtime.tally import quantile

CLIENTS: Final = 64
EXECUTE: Final = "/api/v1/workflows/execute"
BODY: Final = b'{"workflow_id":"bench.chain1","input":{"n":1},"options":{"enable_cache":false}}'

_AGENTS: Final = "from stratarouter_runtime.bench.agents import increment\n\n__all__ = ['increment']\n"


class Answered(Struct, frozen=True):
    """A load on a server, and the microseconds of processor time that it took for each request."""

    load: Load
    micros: float


async def http(folder: Path, requests: int = 12_000) -> list[Measure]:
    """Executions and exact hits a second over HTTP, and how long an execution takes at half of that load."""
    with _server(folder, "stratarouter_runtime.bench.bare") as (url, process):
        bare = await _measured(url, process, requests)
    with _serving(folder, "http", chain(1)) as (url, process):
        full = await _measured(url, process, requests)
        half = await _paced(url, full.load.rate / 2, requests // 4)
    name, against = "one-step execution over HTTP", "the same server answering at once"
    return [
        Measure(
            f"one-step executions a second over HTTP, {CLIENTS} clients",
            full.load.rate,
            "/s",
            4_000,
            "more",
            bare.load.rate,
            against,
        ),
        Measure(f"{name}, processor time", full.micros, "µs", 250, "less", bare.micros, against),
        Measure(
            f"{name} at half of that load, p99",
            quantile(half.times, 0.99),
            "ms",
            25,
            "less",
            quantile(bare.load.times, 0.99),
            f"{against}, at full load",
        ),
        await hits(folder),
        await telling(folder, full.micros),
    ]


async def hits(folder: Path, requests: int = 20_000) -> Measure:
    """Answers a second over HTTP that are exact hits in the cache."""
    with _server(folder, "stratarouter_runtime.bench.bare") as (url, process):
        bare = await _measured(url, process, requests)
    source = chain(1).replace("\nagents:", "\ncache: shared\nagents:")
    with _serving(folder, "hits", source) as (url, process):
        reused = await _measured(url, process, requests, BODY.replace(b"false", b"true"))
    name, against = f"exact hits a second over HTTP, {CLIENTS} clients", "the same server answering at once"
    return Measure(name, reused.load.rate, "/s", 10_000, "more", bare.load.rate, against)


async def _measured(url: str, process: int, requests: int, body: bytes = BODY) -> Answered:
    sent = request(url, EXECUTE, body)
    await load(url, sent, clients=CLIENTS, requests=requests // 6)
    before = processor_seconds(process)
    full = await load(url, sent, clients=CLIENTS, requests=requests)
    return Answered(full, (processor_seconds(process) - before) / requests * 1e6)


async def _paced(url: str, rate: float, requests: int) -> Load:
    """So many requests a second, whatever an answer takes."""
    return await load(
        url, request(url, EXECUTE, BODY), clients=CLIENTS, requests=requests, period=CLIENTS / rate
    )


@contextmanager
def _serving(folder: Path, name: str, source: str) -> Iterator[tuple[str, int]]:
    """The server of the runtime with a project of this flow; where it is reached, and its number."""
    project = folder / name
    project.mkdir()
    (project / "agents.py").write_text(_AGENTS)
    (project / "flow.yaml").write_text(source)
    store = str(folder / f"{name}.db")
    command = ("stratarouter_runtime", "serve", str(project), "--port", "0", "--store", store)
    with _server(folder, *command) as served:
        yield served


@contextmanager
def _server(folder: Path, *command: str) -> Iterator[tuple[str, int]]:
    """A server process, whose log goes where a disk takes it; where it is reached, and its number."""
    with (folder / "http.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[2].rstrip(":"), process.pid
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()
