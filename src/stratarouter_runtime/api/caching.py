"""What is kept for reuse: counted, shown, and forgotten on demand.

Must never know: how an answer is found.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.queries import read_query
from stratarouter_runtime.api.views import usd
from stratarouter_runtime.cache.counts import Counts
from stratarouter_runtime.errors import InvalidInput
from stratarouter_runtime.ports import Holding


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
    """One workflow (`flow:NAME`) or agent (`agent:NAME`): what is kept, and counted since this process began."""

    space: str
    entries: int
    bytes: int
    hits: Hits
    misses: int
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


@operation({200: CacheStats})
async def stats(service: Service, request: Request) -> Reply:
    """`GET /api/v1/cache/stats`: hits, misses, refusals by gate, savings."""
    reuse = service.runtime.reuse
    if reuse is None:
        return Reply(CacheStats(()))
    kept = {each.space: each for each in await reuse.cache.holdings(request.tenant)}
    counted = {each.space: each for each in reuse.cache.ledger.counts(request.tenant)}
    spaces = sorted({*kept, *counted})
    return Reply(
        CacheStats(
            tuple(
                _space(kept.get(space, Holding(space, 0, 0)), counted.get(space, Counts(space)))
                for space in spaces
            )
        )
    )


@operation({200: Invalidated}, query=Invalidation)
async def invalidate(service: Service, request: Request) -> Reply:
    """`DELETE /api/v1/cache/{workflow_id}/invalidate`: forget answers; `agent:NAME` names those of an agent.

    What is being worked out while all of a workflow is forgotten is not kept either.
    """
    query, name = read_query(request, Invalidation), request.param("workflow_id")
    reuse = service.runtime.reuse
    if reuse is None:
        raise InvalidInput("nothing is kept here", hint="the setting cache.enabled")
    entries = await reuse.invalidate(
        request.tenant, name, query.tag, query.older_than_seconds, dry_run=query.dry_run
    )
    return Reply(Invalidated(name, entries, query.dry_run))


def _space(kept: Holding, counted: Counts) -> CacheSpace:
    bound = counted.wrong_at_most
    return CacheSpace(
        space=kept.space,
        entries=kept.entries,
        bytes=kept.bytes,
        hits=Hits(counted.exact, counted.normalised, counted.semantic, counted.coalesced),
        misses=counted.misses,
        kept=counted.kept,
        refused=counted.refused,
        faults=counted.faults,
        saved=Savings(usd(counted.saved_usd), counted.saved_tokens, round(counted.saved_ms, 3)),
        reported_wrong=counted.wrong,
        shadow=ShadowSample(counted.compared, counted.differing, UNSET if bound is None else round(bound, 6)),
    )
