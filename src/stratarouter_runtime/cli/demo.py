"""`strata demo`: the main job, on real input, with its own worker killed half way.

Must never know: how the inbox is answered, or how the evidence is gathered.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import Parameter

from stratarouter_runtime.cli.exits import Exit
from stratarouter_runtime.cli.output import write
from stratarouter_runtime.demo.evidence import Evidence
from stratarouter_runtime.demo.show import show
from stratarouter_runtime.demo.worker import Work
from stratarouter_runtime.errors import NotFound

PROJECT = Path(__file__).parents[3] / "examples" / "triage"


def demo(
    *,
    inbox: Path | None = None,
    limit: int | None = None,
    at_once: int = 50,
    seed: str = "demo",
    json: Annotated[bool, Parameter(help="Print one JSON document.")] = False,
) -> int:
    """Answer a support inbox through the durable engine, and kill the worker half way.

    Parameters
    ----------
    inbox
        Messages as JSONL, or CLINC150's own file; the 200 of the example otherwise.
    limit
        Answer only so many of them.
    at_once
        Executions in flight.
    seed
        What the executions' seeds derive from.
    """
    if not (PROJECT / "flow.yaml").exists():
        raise NotFound("the demonstration is not installed here", hint="run ./strata demo in a checkout")
    with TemporaryDirectory(prefix="strata-demo-") as name:
        folder = Path(name)
        work = Work(
            flow=str(PROJECT / "flow.yaml"),
            inbox=str(inbox or PROJECT / "inbox.jsonl"),
            store=str(folder / "strata.db"),
            notes=str(folder / "calls.txt"),
            seed=seed,
            limit=limit,
            at_once=at_once,
        )
        tell = _quiet if json else _say
        evidence = asyncio.run(show(work, folder, tell))
    write(evidence if json else _table(evidence))
    return Exit.OK if evidence.sound else Exit.FAILED


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _quiet(_: str) -> None:
    """Tell nobody."""


def _table(found: Evidence) -> str:
    accuracy = "not known: no message names a route of this flow"
    if found.routed:
        accuracy = f"{found.routed_right} of {found.routed} ({found.routed_right / found.routed:.1%})"
    rows = [
        ("executions finished", f"{found.completed} of {found.messages}"),
        ("executions lost", f"{found.lost}"),
        ("steps run", f"{found.steps}"),
        ("steps run twice", f"{found.repeated} (those in flight when the worker was killed)"),
        ("routed as expected", accuracy),
        ("latency p50, p99", f"{found.p50_ms:g} ms, {found.p99_ms:g} ms"),
        ("cost", f"{found.usd:.4f} usd"),
        ("replays reproducible", f"{found.reproducible} of {found.replays}"),
        ("took", f"{found.seconds:g} s, both starts of the worker included"),
    ]
    if found.repeated_recorded:
        rows.append(("BROKEN PROMISE", f"{found.repeated_recorded} recorded steps ran again"))
    rows += [("divergence", divergence) for divergence in found.divergences]
    return "\n".join(f"{name:<22}{value}" for name, value in rows)
