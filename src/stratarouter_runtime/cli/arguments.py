"""Arguments that several commands take, written once.

Must never know: what a command does with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

STDIN: Final = "<standard input>"
"""What a lone `-` becomes, before anything could take it for an option; it reads well in messages."""

Json: TypeAlias = Annotated[bool, Parameter(help="Print one JSON document.")]
Store: TypeAlias = Annotated[
    Path | None, Parameter(help="Where executions are kept; by default what the settings say.")
]
Agents: TypeAlias = Annotated[
    str | None, Parameter(help="The folder with agents.py or agents.yaml, or the name of a module.")
]
Inputs: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(name="--input", help="An input as name=value, @file.json, or - for standard input."),
]
