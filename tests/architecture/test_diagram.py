"""The picture of a frame's life in ARCHITECTURE.md is the table in `state/machine.py`."""

from __future__ import annotations

from pathlib import Path

from stratarouter_runtime.state.machine import TRANSITIONS

PAGE = Path(__file__).parents[2] / "ARCHITECTURE.md"


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    rows = [f"    {start} --> {end}: {what}" for (start, what), end in TRANSITIONS.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> running", *rows])


def test_the_diagram_on_the_page_is_the_table() -> None:
    assert f"```mermaid\n{diagram()}\n```" in PAGE.read_text(encoding="utf-8")
