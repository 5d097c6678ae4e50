"""What a box lets a process do: plain values, made outside and put in force inside.

Must never know: how a kernel is told of it.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from stratarouter_runtime.errors import InvalidSetting

MIB: Final = 1024 * 1024

Feature: TypeAlias = Literal[
    "namespaces", "landlock", "landlock-net", "landlock-scope", "seccomp", "uid-drop", "pidfd"
]
"""What of the kernel the walls are made of. `landlock-net` and `landlock-scope` are what later versions of
Landlock add: no level needs them, since other walls stand there too."""

BOXED: Final[tuple[Feature, ...]] = ("namespaces", "landlock", "seccomp", "uid-drop", "pidfd")
"""Needed by every level that claims isolation."""
CONTAINED: Final[tuple[Feature, ...]] = ("uid-drop", "pidfd")
"""Needed by `process`, which stops accidents and no attacks."""


def waived(names: str) -> frozenset[Feature]:
    """The features of a list separated by commas. Raises `InvalidSetting` for what no level needs."""
    said = [name.strip() for name in names.split(",") if name.strip()]
    known: dict[str, Feature] = {name: name for name in BOXED}
    if strange := [name for name in said if name not in known]:
        hint = f"what a level may have to do without is {', '.join(known)}"
        raise InvalidSetting(f"sandbox.without names {', '.join(strange)}, which no level needs", hint=hint)
    return frozenset(known[name] for name in said)


class Walls(Struct, frozen=True):
    """The walls of one worker. Sizes are in bytes; `cpu` is in seconds over the whole life of a worker.

    `boxed` is False for the operator's own code: limits and another user, but no namespaces and no
    filters. `spawning` allows the programs in `programs` to be started. `without` names the features
    that this machine lacks and the operator agreed to do without.
    """

    boxed: bool = True
    spawning: bool = False
    memory: int = 256 * MIB
    cpu: int = 60
    disk: int = 64 * MIB
    files: int = 1_024
    descriptors: int = 64
    threads: int = 64
    reads: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    without: tuple[Feature, ...] = ()

    def has(self, feature: Feature) -> bool:
        """Whether this feature stands in the wall."""
        return self.boxed and feature not in self.without
