"""What of the walls this machine can build, found out by building them once.

Must never know: how a feature is used.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.sandbox.walls import BOXED, CONTAINED, Feature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stratarouter_runtime.ports import Isolation

_SECONDS: Final = 20


@cache
def found() -> Mapping[Feature, str]:
    """Each feature, with why it is missing; empty where it is there. Takes a tenth of a second, once."""
    command = [sys.executable, "-I", "-m", "stratarouter_runtime.sandbox.trying"]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
            cwd="/",
        )
        return msgspec.json.decode(done.stdout, type=dict[Feature, str])
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        return dict.fromkeys(get_args(Feature), f"it could not be tried: {error}")


def needed(level: Isolation) -> tuple[Feature, ...]:
    """The features without which a level is not what it says."""
    match level:
        case "inline":
            return ()
        case "process":
            return CONTAINED
        case _:
            return BOXED


def without(level: Isolation, waived: frozenset[Feature]) -> tuple[Feature, ...]:
    """The features that a level lacks here and that are waived."""
    return tuple(each for each in needed(level) if found()[each] and each in waived)


def require(name: str, level: Isolation, waived: frozenset[Feature]) -> None:
    """Raise `LinkError` where the agent `name` cannot have its level here."""
    missing = [each for each in needed(level) if found()[each] and each not in waived]
    if missing:
        told = "; ".join(f"{each} ({found()[each]})" for each in missing)
        raise LinkError(
            f"the agent '{name}' cannot run at the level '{level}' here: missing {told}",
            hint=f"see strata doctor; or allow it by name: STRATA_SANDBOX_WITHOUT={','.join(missing)}",
        )
