"""The project that is served while its server is killed: the flows of the simulation, on services outside.

Must never know: who serves it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stratarouter_runtime.testing import flows

LEFT_OUT: Final = frozenset({"asked", "routed"})
"""Flows that sleep for minutes, or need an encoder."""

TOLD: Final = tuple(told for told in flows.FLOWS if told.name not in LEFT_OUT)

SERVED_INSIDE: Final = "inner"
"""What is no service, but a flow."""


def write_project(folder: Path, port: int) -> None:
    """Write agents and flows into `folder`; the services answer at `port`."""
    signatures = flows.HEAD.partition("agents:\n")[2].partition("\nin:")[0].splitlines()
    agents = ["hosts: [127.0.0.1]", "agents:"]
    for line in signatures:
        name, _, rest = line.strip().partition(":")
        if name != SERVED_INSIDE:
            place = f"kind: http, url: http://127.0.0.1:{port}/{name}, "
            agents.append(f"  {name}: {{{place}{rest.strip().removeprefix('{')}")
    (folder / "agents.yaml").write_text("\n".join(agents) + "\n", encoding="utf-8")
    (folder / "flows").mkdir()
    for told in TOLD:
        head = flows.HEAD.replace("NAME", told.name)
        if f"call: {SERVED_INSIDE}" not in told.body:
            head = "\n".join(line for line in head.splitlines() if f" {SERVED_INSIDE}:" not in line) + "\n"
        text = head + told.body
        (folder / "flows" / f"{told.name}.yaml").write_text(text, encoding="utf-8")
