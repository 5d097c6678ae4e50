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

from stratarouter_runtime.bench.flows import chain
from stratarouter_runtime.bench.measure import Measure, quantile
from stratarouter_runtime.bench.wire import Load, load, request

CLIENTS: Final = 64
EXECUTE: Final = "/api/v1/workflows/execute"
BODY: Final = b'{"workflow_id":"bench.chain1","input":{"n":1},"options":{"enable_cache":false}}'

_AGENTS: Final = "from stratarouter_runtime.bench.agents import increment\n\n__all__ = ['increment']\n"


async def http(folder: Path, requests: int = 12_000) -> list[Measure]:
    """Executions a second over HTTP, and how long one takes at half of that load."""
    project = folder / "http"
    project.mkdir()
    (project / "agents.py").write_text(_AGENTS)
    (project / "flow.yaml").write_text(chain(1))
    with _server(folder, "stratarouter_runtime.bench.bare") as url:
        bare = await _measured(url, requests)
    with _server(
        folder,
        "stratarouter_runtime",
        "serve",
        str(project),
        "--port",
        "0",
        "--store",
        str(folder / "http.db"),
    ) as url:
        full = await _measured(url, requests)
        half = await _paced(url, full.rate / 2, requests // 4)
    return [
        Measure(
            f"one-step executions a second over HTTP, {CLIENTS} clients",
            full.rate,
            "/s",
            4_000,
            "more",
            bare.rate,
            "the same server answering at once",
        ),
        Measure(
            "one-step execution over HTTP at half of that load, p99",
            quantile(half.times, 0.99),
            "ms",
            25,
            "less",
            quantile(bare.times, 0.99),
            "the same server answering at once, at full load",
        ),
    ]


async def hits(folder: Path, requests: int = 20_000) -> Measure:
    """Answers a second over HTTP that are exact hits in the cache."""
    project = folder / "hits"
    project.mkdir()
    (project / "agents.py").write_text(_AGENTS)
    (project / "flow.yaml").write_text(chain(1).replace("\nagents:", "\ncache: shared\nagents:"))
    store = str(folder / "hits.db")
    with _server(folder, "stratarouter_runtime.bench.bare") as url:
        bare = await _measured(url, requests)
    with _server(
        folder, "stratarouter_runtime", "serve", str(project), "--port", "0", "--store", store
    ) as url:
        reused = await _measured(url, requests, BODY.replace(b"false", b"true"))
    name = f"exact hits a second over HTTP, {CLIENTS} clients"
    return Measure(name, reused.rate, "/s", 8_000, "more", bare.rate, "the same server answering at once")


async def _measured(url: str, requests: int, body: bytes = BODY) -> Load:
    sent = request(url, EXECUTE, body)
    await load(url, sent, clients=CLIENTS, requests=requests // 6)
    return await load(url, sent, clients=CLIENTS, requests=requests)


async def _paced(url: str, rate: float, requests: int) -> Load:
    """So many requests a second: each client pauses as long as that takes, whatever an answer took."""
    return await load(
        url, request(url, EXECUTE, BODY), clients=CLIENTS, requests=requests, pause=CLIENTS / rate
    )


@contextmanager
def _server(folder: Path, *command: str) -> Iterator[str]:
    """A server process, whose log goes where a disk takes it; where it is reached."""
    with (folder / "http.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[2].rstrip(":")
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()
