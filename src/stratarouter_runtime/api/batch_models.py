"""What goes over the wire about batches.

Must never know: how items are executed.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from stratarouter_runtime.api.models import CacheOptions, Error, Name, Seconds
from stratarouter_runtime.tenancy.quotas import ITEMS


class BatchItem(Struct, frozen=True, forbid_unknown_fields=True):
    """One execution that is wanted."""

    workflow_id: Name
    input: Any = field(default_factory=dict)


class BatchOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """How to execute every item."""

    enable_cache: bool = True
    cache: CacheOptions = CacheOptions()
    timeout_seconds: Seconds | None = None


class BatchRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/batch/submit`."""

    items: Annotated[tuple[BatchItem, ...], Meta(min_length=1, max_length=ITEMS)]
    options: BatchOptions = BatchOptions()


class BatchOutcome(Struct, frozen=True):
    """What became of an item; `shared` where another item, or an earlier answer, answered it."""

    index: int
    status: str
    execution_id: str | UnsetType = UNSET
    shared: bool = False
    output: Any = UNSET
    error: Error | UnsetType = UNSET


class BatchAnswer(Struct, frozen=True):
    """A batch as it stands: how many items are in each status, and each item in its order."""

    id: str
    created: str
    ended: bool
    cancelled: bool
    counts: dict[str, int]
    items: tuple[BatchOutcome, ...]
