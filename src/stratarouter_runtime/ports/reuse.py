"""Answers that may be given again.

Times are microseconds since the epoch (UTC). Must never know: an implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from stratarouter_runtime.ids import Digest, ExecutionId, Tenant
    from stratarouter_runtime.ports.agents import AgentCall, AgentReply
    from stratarouter_runtime.state.events import Reused
    from stratarouter_runtime.tcfp.plan import LinkedAgent


class CacheEntry(Struct, frozen=True):
    """An answer kept for reuse. `body` is opaque, and checked by whoever reads it.

    `key` names exactly what it answers, `group` those entries among which it may be found by
    meaning (empty: none). `space` is the flow or agent it belongs to, for forgetting; `source` the
    execution it came from. `revision` is that of its space when it was asked for; it is not kept itself.
    """

    tenant: Tenant
    key: Digest
    space: str
    group: str
    source: ExecutionId
    created: int
    expires: int
    tags: tuple[str, ...]
    body: bytes
    revision: int = 0


class Selection(Struct, frozen=True):
    """Which entries of a tenant: of one `space`, with a tag, created before, of a source, or by key."""

    tenant: Tenant
    space: str | None = None
    tag: str | None = None
    before: int | None = None
    source: ExecutionId | None = None
    key: Digest | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of a space: then what is still being worked out is not kept either."""
        rest = (self.tag, self.before, self.source, self.key)
        return self.space is not None and all(part is None for part in rest)


class Generation(Struct, frozen=True):
    """How often a space was emptied (`epoch`), and how often anything was taken from it (`revision`)."""

    tenant: Tenant
    space: str
    epoch: int
    revision: int


class Holding(Struct, frozen=True):
    """What is kept of one space."""

    space: str
    entries: int
    bytes: int


class CacheStore(Protocol):
    """Where answers to be reused outlive the process. Raises `errors.StoreError` like a journal."""

    async def keep(self, entries: Sequence[CacheEntry]) -> None:
        """Keep entries, each in place of the one with its tenant and key.

        One whose space has a later revision is left out: it may rest on what was the reason to forget.
        """
        ...

    async def find(self, tenant: Tenant, key: Digest) -> CacheEntry | None:
        """The entry of this key."""
        ...

    async def group(self, tenant: Tenant, group: str, limit: int) -> list[CacheEntry]:
        """The entries of a group, newest first."""
        ...

    async def count(self, selection: Selection) -> int:
        """How many entries `forget` would take away."""
        ...

    async def forget(self, selection: Selection) -> list[tuple[str, Digest]]:
        """Take entries away; space and key of each. A whole space gets a new epoch, else a new revision."""
        ...

    async def generations(self) -> list[Generation]:
        """Of every space from which anything was ever taken."""
        ...

    async def prune(self, now: int, most: int) -> int:
        """Take away what expired before `now`, and the oldest above `most`; how many."""
        ...

    async def holdings(self, tenant: Tenant) -> list[Holding]:
        """What is kept for a tenant, by space."""
        ...


class Reuse(Protocol):
    """Answers single agent calls from what is known, where the agent allows it."""

    async def call(
        self,
        agent: LinkedAgent,
        call: AgentCall,
        given: Digest,
        make: Callable[[AgentCall], Awaitable[AgentReply]],
    ) -> tuple[AgentReply, Reused | None]:
        """The answer to a call: a known one, or what `make` gives. Raises what `make` raises.

        `given` is the digest of the input's canonical form.
        """
        ...
