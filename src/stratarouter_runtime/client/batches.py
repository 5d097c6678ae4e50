"""Conversations about batches: submit, follow, cancel.

Must never know: sockets, clocks, or how either kind of client waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stratarouter_runtime.api.batch_models import BatchAnswer
from stratarouter_runtime.client.executions import HOLD, posted
from stratarouter_runtime.client.talk import Call, Talk, fetched

_BATCH = "/api/v1/batch"


def submit(items: Iterable[tuple[str, object]], options: Mapping[str, Any], key: str) -> Talk[BatchAnswer]:
    """Submit items, each a workflow and its input, or find the batch that this key has submitted already."""
    wanted = [{"workflow_id": workflow, "input": given} for workflow, given in items]
    call = posted(f"{_BATCH}/submit", {"items": wanted, "options": options}, key)
    return (yield from fetched(call, BatchAnswer))


def read(batch: str, wait: float = 0.0) -> Talk[BatchAnswer]:
    """A batch as it stands, after at most `wait` seconds of waiting for its end."""
    headers = {"prefer": f"wait={wait:.0f}"} if wait else {}
    return (yield from fetched(Call("GET", f"{_BATCH}/{batch}", headers=headers, wait=wait), BatchAnswer))


def ended(batch: str) -> Talk[BatchAnswer]:
    """The batch once nothing more happens to it."""
    while True:
        found = yield from read(batch, HOLD)
        if found.ended:
            return found


def cancel(batch: str) -> Talk[BatchAnswer]:
    """Begin no more of its items, and cancel those under way. Cancelling again changes nothing."""
    return (yield from fetched(posted(f"{_BATCH}/{batch}/cancel", {}), BatchAnswer))
