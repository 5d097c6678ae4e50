"""Texts compared by meaning, and routes decided by tables and rules.

Times are microseconds since the epoch (UTC). Must never know: an implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stratarouter_runtime.ids import AgentName, Tenant
    from stratarouter_runtime.state.events import Given, Why


class Scorer(Protocol):
    """Compares texts by meaning."""

    @property
    def identity(self) -> str:
        """Model, variant and dimension: part of every plan that routes."""
        ...

    async def score(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        """Cosine similarity of the query with each text, in order, rounded to 1e-6."""
        ...


class Asked(Struct, frozen=True):
    """What a route of a flow asks: for whom of `candidates` (name, what it is about) the query is.

    `router` names what compares them, as the plan was compiled with. `given` is a decision that came
    with the request.
    """

    tenant: Tenant
    query: str
    candidates: tuple[tuple[AgentName, str], ...]
    router: str = ""
    labels: tuple[str, ...] = ()
    input: Any = None
    given: Given | None = None


class Compared(Struct, frozen=True):
    """The scores of the candidates, in order (none where nothing was compared), and what decided."""

    scores: tuple[float, ...]
    why: Why | None = None


class CoreTable(Struct, frozen=True):
    """A routing table as StrataRouter-Core takes it: one vector a route (little-endian float32)."""

    digest: str
    names: tuple[str, ...]
    centroids: tuple[bytes, ...]


class Core(Protocol):
    """StrataRouter-Core in this process."""

    async def decide(self, table: CoreTable, query: str, vector: bytes) -> Given | str:
        """What Core decides; or why it did not, said behind "StrataRouter-Core". Raises nothing."""
        ...


class Switch(Protocol):
    """Finds for whom a query is: rules of the tenant, a decision that came along, tables, meaning."""

    async def pin(self, tenant: Tenant) -> str:
        """What compares candidates now: part of every plan that routes, compiled from now on."""
        ...

    async def compare(self, asked: Asked) -> Compared:
        """Decide, or compare. Raises `InvalidInput`, `InvalidState`, and what stores and encoders raise."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def identity(self) -> str:
        """Model, variant and dimension: part of every key that rests on its vectors."""
        ...

    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        """The vector of each text, in order: little-endian float32, of length 1 (0 without any feature)."""
        ...
