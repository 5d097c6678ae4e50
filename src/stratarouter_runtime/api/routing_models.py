"""What goes over the wire about routing. Rules and decisions are told as they are; see docs/routing.md.

Must never know: how a decision comes about.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from stratarouter_runtime.routing.rules import Rule
from stratarouter_runtime.state.events import Given

Table = Annotated[str, Meta(min_length=1, max_length=128)]
Label = Annotated[str, Meta(min_length=1, max_length=128)]


class RulesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/routing/rules`."""

    rules: Annotated[tuple[Rule, ...], Meta(min_length=1, max_length=1000)]


class RulesAnswer(Struct, frozen=True):
    """The rules in force, in the order of writing."""

    rules: tuple[Rule, ...]


class Named(Struct, frozen=True):
    """The query of `DELETE /api/v1/routing/rules`: the names of the rules to take away."""

    name: tuple[str, ...] = ()


class DecideRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/routing/decide`: `table` is the name of a table that has a promoted version."""

    query: str
    table: Table = "agents"
    labels: Annotated[tuple[Label, ...], Meta(max_length=100)] = ()
    input: Any = None
    routing: Given | None = None


class FeedbackRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/executions/{id}/feedback`: at least one of `route`, `answer`, `reuse`."""

    route: Literal["right", "wrong"] | None = None
    step: Annotated[str, Meta(max_length=1000)] = ""
    should: Annotated[str, Meta(max_length=128)] = ""
    answer: Literal["good", "bad"] | None = None
    reuse: Literal["right", "wrong"] | None = None
    comment: Annotated[str, Meta(max_length=4096)] = ""


class FeedbackAnswer(Struct, frozen=True):
    """What was kept: who was chosen, and where the query belongs, as far as it was said."""

    execution_id: str
    chosen: str
    belongs: str
