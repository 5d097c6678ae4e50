"""Arguments that several commands take, written once.

Must never know: what a command does with them.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from cyclopts import Parameter
from msgspec import Meta

from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.state.events import Budget
from stratarouter_runtime.tcfp.durations import parse_duration

STDIN: Final = "<standard input>"
"""What a lone `-` becomes, before anything could take it for an option; it reads well in messages."""

Json: TypeAlias = Annotated[bool, Parameter(help="Print one JSON document.")]
Store: TypeAlias = Annotated[
    str | None, Parameter(help="A file or the URL of a database; by default what the settings say.")
]
Agents: TypeAlias = Annotated[
    str | None, Parameter(help="The folder with agents.py or agents.yaml, or the name of a module.")
]
Inputs: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(name="--input", help="An input as name=value, @file.json, or - for standard input."),
]
Budgets: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(name="--budget", help="What it may spend at most: usd=1.50, tokens=20000, or both."),
]


def budget(given: Budgets) -> Budget | None:
    """What an execution may spend; None where nothing is said. Raises `InvalidInput`."""
    wanted = dict(each.partition("=")[::2] for each in given)
    if not wanted:
        return None
    try:
        return msgspec.convert(wanted, _Budget, strict=False)
    except msgspec.ValidationError:
        raise InvalidInput(
            f"--budget {' '.join(given)}: takes usd=NUMBER and tokens=WHOLE NUMBER, neither below 0",
            hint="such as --budget usd=1.50 --budget tokens=20000",
        ) from None


def duration(text: str, option: str) -> int:
    """Microseconds of `90d` or `1h30m`. Raises `InvalidInput`."""
    found = parse_duration(text)
    if found is None:
        raise InvalidInput(f"{option} {text!r} is no duration", hint="such as 90d, 12h or 1h30m")
    return found


class _Budget(Budget, frozen=True, forbid_unknown_fields=True):
    """A budget as the command line says it."""

    usd: Annotated[float, Meta(ge=0)] | None = None
    tokens: Annotated[int, Meta(ge=0)] | None = None
