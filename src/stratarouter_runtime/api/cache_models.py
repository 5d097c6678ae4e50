"""What goes over the wire about reuse.

Must never know: how an answer is found.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType


class Hits(Struct, frozen=True):
    """Answers that were reused, by how they were found; `coalesced` were under way for another caller."""

    exact: int = 0
    normalised: int = 0
    semantic: int = 0
    coalesced: int = 0


class Savings(Struct, frozen=True):
    """What the reused answers had cost when they were made."""

    usd: str = "0"
    tokens: int = 0
    ms: float = 0.0


class ShadowSample(Struct, frozen=True):
    """Reused answers that were worked out anew as well; `wrong_at_most` is a share, at 95 % confidence."""

    compared: int = 0
    differing: int = 0
    wrong_at_most: float | UnsetType = UNSET


class CacheSpace(Struct, frozen=True):
    """One workflow (`flow:NAME`) or agent (`agent:NAME`): what is kept, and counted since this process began.

    `bypassed` counts by reason what was not looked up, `refused` by gate what was near and not given.
    """

    space: str
    entries: int
    bytes: int
    hits: Hits
    misses: int
    bypassed: dict[str, int]
    kept: int
    refused: dict[str, int]
    faults: dict[str, int]
    saved: Savings
    reported_wrong: int
    shadow: ShadowSample


class CacheStats(Struct, frozen=True):
    """All that is kept for the tenant."""

    spaces: tuple[CacheSpace, ...]


class Invalidation(Struct, frozen=True, forbid_unknown_fields=True):
    """Which answers to forget: all, those with a tag, those older than so many seconds."""

    tag: str | None = None
    older_than_seconds: Annotated[int, Meta(ge=0)] | None = None
    dry_run: bool = False


class Invalidated(Struct, frozen=True):
    """How many answers were forgotten, or would have been."""

    workflow_id: str
    entries: int
    dry_run: bool
