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
