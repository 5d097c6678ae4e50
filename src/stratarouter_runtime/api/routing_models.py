"""What goes over the wire about routing. Rules and decisions are told as they are; see docs/routing.md.

Must never know: how a decision comes about.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from stratarouter_runtime.routing.report import Report
from stratarouter_runtime.routing.rules import Rule
from stratarouter_runtime.routing.tables import Route
from stratarouter_runtime.state.events import Given

Table = Annotated[str, Meta(min_length=1, max_length=128)]
Label = Annotated[str, Meta(min_length=1, max_length=128)]


class RulesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/routing/rules`."""

    rules: Annotated[tuple[Rule, ...], Meta(min_length=1, max_length=1000)]


class RulesAnswer(Struct, frozen=True):
    """The rules in force, in the order of writing."""

    rules: tuple[Rule, ...]


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    """The query of `DELETE /api/v1/routing/rules`: the names of the rules to take away."""

    name: tuple[str, ...] = ()


class DecideRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/routing/decide`: `table` is the name of a table that has a promoted version."""

    query: str
    table: Table = "agents"
    labels: Annotated[tuple[Label, ...], Meta(max_length=100)] = ()
    input: Any = None
    routing: Given | None = None


class TableRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`PUT /api/v1/routing/tables/{name}`: a table as a file has it, without its name."""

    routes: tuple[Route, ...]
    none: tuple[str, ...] = ()
    promote: bool = False


class PromoteRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/routing/tables/{name}/promote`: a version, by its digest or how that begins."""

    version: Annotated[str, Meta(min_length=8, max_length=128)]


class Versioned(Struct, frozen=True, forbid_unknown_fields=True):
    """The query of `GET /api/v1/routing/tables/{name}`."""

    version: Annotated[str, Meta(max_length=128)] = ""


class TableSummary(Struct, frozen=True):
    """A table by its name: which version is promoted (null: none), and all there are, oldest first."""

    name: str
    promoted: str | None
    versions: tuple[str, ...]


class TableAnswer(Struct, frozen=True):
    """A version of a table: what is written, what made its vectors, and what held-out examples came to."""

    name: str
    version: str
    promoted: str | None
    versions: tuple[str, ...]
    encoder: str
    report: Report
    routes: tuple[Route, ...]
    none: tuple[str, ...]


class TableList(Struct, frozen=True):
    """A page of tables."""

    tables: tuple[TableSummary, ...]
    next_cursor: str | None = None


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
