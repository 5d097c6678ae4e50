"""Agents as the API takes and shows them.

Must never know: how an agent is registered.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from stratarouter_runtime.api.models import Worst


class NamedAgent(Struct, frozen=True, forbid_unknown_fields=True):
    """A registration: the name, and the document as text in YAML or JSON."""

    name: str
    source: str


class AgentAnswer(Struct, frozen=True):
    """An agent that flows can call. One of the project has no `version`, times or `source`.

    `digest` is its identity, `input` and `output` are JSON Schema.
    """

    name: str
    kind: str
    digest: str
    effect: str
    about: str
    tags: tuple[str, ...]
    worst_case: Worst
    input: Any
    output: Any
    version: int | UnsetType = UNSET
    created: str | UnsetType = UNSET
    updated: str | UnsetType = UNSET
    source: str | UnsetType = UNSET


class AgentSummary(Struct, frozen=True):
    """An agent in a list."""

    name: str
    kind: str
    digest: str
    effect: str
    about: str


class AgentList(Struct, frozen=True):
    """A page of agents, by name; `next_cursor` leads to the next one, where there is one."""

    agents: tuple[AgentSummary, ...]
    next_cursor: str | None = None
