"""Lists page by page: where they are, and how one leads to the next.

Must never know: sockets, clocks, or how either kind of client waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from stratarouter_runtime.api.agent_models import AgentList, AgentSummary
from stratarouter_runtime.api.models import ExecutionList, ExecutionSummary, WorkflowList, WorkflowSummary
from stratarouter_runtime.client.talk import Call, Talk, asked

T = TypeVar("T")

LARGEST = 200
"""Items of a page at most."""


class Pages(Generic[T]):
    """A list on its way: `ended` once all of it was fetched."""

    def __init__(self, path: str, page: type[Any], items: str, query: dict[str, str] | None = None) -> None:
        self._path = path
        self._page = page
        self._items = items
        self._query = {"limit": str(LARGEST), **(query or {})}
        self.ended = False

    def following(self) -> Talk[Sequence[T]]:
        """The items of the next page."""
        heard = yield from asked(Call("GET", self._path, query=self._query))
        page = msgspec.json.decode(heard.body, type=self._page)
        self.ended = page.next_cursor is None
        self._query = self._query | {"cursor": page.next_cursor or ""}
        items: Sequence[T] = getattr(page, self._items)
        return items


def executions(workflow: str | None, status: Iterable[str]) -> Pages[ExecutionSummary]:
    """Executions, newest first."""
    query = {"status": ",".join(status), "workflow_id": workflow or ""}
    given = {name: value for name, value in query.items() if value}
    return Pages("/api/v1/executions", ExecutionList, "executions", given)


def workflows() -> Pages[WorkflowSummary]:
    """What is deployed, by name."""
    return Pages("/api/v1/workflows", WorkflowList, "workflows")


def agents() -> Pages[AgentSummary]:
    """Agents that flows can call, by name."""
    return Pages("/api/v1/agents", AgentList, "agents")
