"""What is kept for reuse: counted, shown, and forgotten on demand.

Must never know: how an answer is found.
"""

from __future__ import annotations

from msgspec import UNSET

from stratarouter_runtime.api.bodies import read_json
from stratarouter_runtime.api.cache_models import (
    CacheSpace,
    CacheStats,
    Hits,
    Invalidated,
    Invalidation,
    Savings,
    ShadowSample,
)
from stratarouter_runtime.api.contract import operation
from stratarouter_runtime.api.exchange import Reply, Request, Service
from stratarouter_runtime.api.queries import read_query
from stratarouter_runtime.api.views import usd
from stratarouter_runtime.cache.book import TermsBook
from stratarouter_runtime.cache.counts import Counts
from stratarouter_runtime.cache.questions import space_of
from stratarouter_runtime.cache.terms import Terms
from stratarouter_runtime.errors import InvalidInput, NotFound
from stratarouter_runtime.ports import Holding


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
        bypassed=counted.bypassed,
        kept=counted.kept,
        refused=counted.refused,
        faults=counted.faults,
        saved=Savings(usd(counted.saved_usd), counted.saved_tokens, round(counted.saved_ms, 3)),
        reported_wrong=counted.wrong,
        shadow=ShadowSample(counted.compared, counted.differing, UNSET if bound is None else round(bound, 6)),
    )


@operation({200: Terms}, refuses=("not-found",))
async def policy(service: Service, request: Request) -> Reply:
    """`GET /api/v1/cache/{workflow_id}/policy`: on what terms its answers are reused, where it was written."""
    space = space_of(request.param("workflow_id"))
    found = (await _terms(service).all(request.tenant)).get(space)
    if found is None:
        raise NotFound(f"no terms were written for {space}", hint="then what the settings say holds")
    return Reply(found)


@operation({200: Terms}, takes=Terms, refuses=("limit-exceeded",))
async def put_policy(service: Service, request: Request) -> Reply:
    """`PUT /api/v1/cache/{workflow_id}/policy`: these terms hold from now on; `agent:NAME` names an agent."""
    terms = await read_json(request, Terms)
    space = space_of(request.param("workflow_id"))
    await _terms(service).put(request.tenant, space, terms, by=request.caller.by)
    return Reply(terms)


@operation({204: None}, refuses=("not-found",))
async def remove_policy(service: Service, request: Request) -> Reply:
    """`DELETE /api/v1/cache/{workflow_id}/policy`: what the settings say holds again."""
    space = space_of(request.param("workflow_id"))
    if not await _terms(service).remove(request.tenant, space, by=request.caller.by):
        raise NotFound(f"no terms were written for {space}")
    return Reply(None, 204)


def _terms(service: Service) -> TermsBook:
    reuse = service.runtime.reuse
    if reuse is None or reuse.terms is None:
        raise InvalidInput("nothing is kept here", hint="the setting cache.enabled")
    return reuse.terms
