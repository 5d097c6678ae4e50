"""Settings -> a running application: the only file that names back-ends.

Parts are opened in order and closed in reverse, whatever fails. Must never know: a rule
of any kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache, partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec import Struct, to_builtins

from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.agents.roster import Roster
from stratarouter_runtime.batch.coalescer import Coalescer
from stratarouter_runtime.bridge.lazy import LazyEmbedder, LazyScorer
from stratarouter_runtime.cache.book import TermsBook
from stratarouter_runtime.cache.policy import SECOND, Defaults
from stratarouter_runtime.cache.recall import Cache
from stratarouter_runtime.canonical import digest
from stratarouter_runtime.errors import StoreLocked
from stratarouter_runtime.executor.driver import Driver
from stratarouter_runtime.executor.snapshots import Snapshotting
from stratarouter_runtime.host import installed_version, resident
from stratarouter_runtime.ids import LOCAL, Digest, Tenant
from stratarouter_runtime.limits.tenancy import Tenancy, tenancy
from stratarouter_runtime.observability.fanout import Fanout
from stratarouter_runtime.observability.observatory import Observatory
from stratarouter_runtime.observability.partials import PartialTexts
from stratarouter_runtime.observability.process import Process
from stratarouter_runtime.observability.tracing import Sampler
from stratarouter_runtime.ports import Operation
from stratarouter_runtime.runtime import Runtime
from stratarouter_runtime.sandbox.lazy import LazyCells
from stratarouter_runtime.services.linking import linked_agents
from stratarouter_runtime.services.reuse import Reuse
from stratarouter_runtime.services.routers import Routers
from stratarouter_runtime.settings import place_of
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.storage.sqlite import open_beside, open_readonly, open_store
from stratarouter_runtime.system import SystemClock, SystemEntropy
from stratarouter_runtime.tenancy.policies import EVERYTHING, Policy
from stratarouter_runtime.workshops import guests, workshop

if TYPE_CHECKING:
    from stratarouter_runtime.agents.workshop import Workshop
    from stratarouter_runtime.bridge.core import GuardedCore
    from stratarouter_runtime.bridge.encoder import Encoder
    from stratarouter_runtime.ids import AgentName
    from stratarouter_runtime.ports import Cells, Embedder, Observer, Policies, Scorer, Store
    from stratarouter_runtime.settings import Settings

PATIENCE = 10.0
"""Seconds that calls under way get to answer when the application stops."""


class Application(Struct, frozen=True):
    """A running application. `observers` may be added to while it runs."""

    runtime: Runtime
    driver: Driver
    store: Store
    registry: Registry
    observers: Fanout
    embedder: Embedder
    place: str
    """Where executions are kept, as people may see it."""
    observatory: Observatory
    """What is counted, written down and told of it."""
    tenancy: Tenancy
    """Who may call, and how much."""


class Office(Struct, frozen=True):
    """A store for those who look after it: its documents may be written, and all of it read."""

    store: Store
    tenancy: Tenancy


def _open_roster(
    settings: Settings, store: Store, registry: Registry, policies: Policies, closing: AsyncExitStack
) -> tuple[Roster, Workshop]:
    """What takes agents while the runtime runs, and what they share with those of the project."""
    own = registry.workshop
    if own is None:  # agents that were not built here
        own = workshop(settings)
        closing.push_async_callback(own.close)
    linked = partial(linked_agents, store)
    roster = Roster(store.shelf, guests(settings, own), registry, policies, linked)
    closing.push_async_callback(roster.close)
    return roster, own


@asynccontextmanager
async def application(
    settings: Settings,
    registry: Registry,
    *,
    store: Path | str | None = None,
    readonly: bool = False,
    claiming: bool = False,
    observer: Observer | None = None,
) -> AsyncIterator[Application]:
    """Run an application around the body; drain it afterwards.

    With `claiming` it takes up, for as long as it runs, executions that other processes left.

    `store` is a path, `:memory:` or the URL of a database; None takes the one of the settings,
    the database where one is named. Raises `StoreError`.
    """
    async with AsyncExitStack() as closing:
        opened, place = await _open_store(settings, store, readonly=readonly)
        closing.push_async_callback(opened.close)
        closing.push_async_callback(registry.close)
        embedder = LazyEmbedder(lambda: _open_embedder(settings))
        closing.callback(embedder.close)
        observers = Fanout(*([observer] if observer else []))
        reuse = _reuse(settings, opened, embedder, lambda tenant: _edition(routers, tenants, tenant))
        closing.push_async_callback(reuse.close)
        scorer = LazyScorer(lambda: _open_scorer(embedder))
        core = _open_core(closing) if settings.routing_core else None
        routers = Routers(
            opened.shelf, scorer, embedder, SystemClock(), lambda tenant: _names(runtime, tenant), core
        )
        tenants = tenancy(settings, opened, SystemClock(), SystemEntropy())
        roster, shared = _open_roster(settings, opened, registry, tenants.policies, closing)
        runtime = Runtime(
            store=opened,
            registry=registry,
            scorer=scorer,
            observers=observers,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            sampler=None if settings.trace_endpoint is None else Sampler(settings.trace_share),
            routers=routers,
            reuse=reuse,
            roster=roster,
            partials=shared.partials if isinstance(shared.partials, PartialTexts) else None,
            gate=tenants.gate,
            policies=tenants.policies,
            snapshotting=Snapshotting(settings.snapshot_records, settings.snapshot_seconds),
        )
        observatory = _observe(runtime, opened, observers, registry, reuse, tenants, shared.cells)
        if settings.trace_endpoint is not None:
            _trace(settings.trace_endpoint, observatory, registry, closing)
        closing.push_async_callback(observatory.close)
        if not readonly:
            upkeep = asyncio.create_task(runtime.upkeep(claiming=claiming).run(), name="upkeep")
            closing.callback(upkeep.cancel)
        closing.push_async_callback(runtime.driver.drain, PATIENCE)
        closing.push_async_callback(runtime.batches.close)
        yield Application(
            runtime, runtime.driver, opened, registry, observers, embedder, place, observatory, tenants
        )


async def _edition(routers: Routers, tenants: Tenancy, tenant: Tenant) -> str:
    """What decides besides plans: answers given under other rules, or by agents that may not be, are not reused."""
    routing, policy = await routers.edition(tenant), await tenants.policies.policy(tenant)
    return routing if policy == EVERYTHING else f"{routing} {_named(policy)}"


@lru_cache(maxsize=1_024)
def _named(policy: Policy) -> Digest:
    return digest(to_builtins(policy))


def _reuse(
    settings: Settings, store: Store, embedder: Embedder, edition: Callable[[Tenant], Awaitable[str]]
) -> Reuse:
    """What answers from what is known."""
    clock, age = SystemClock(), settings.cache_max_age_seconds
    defaults = Defaults(
        threshold=settings.cache_threshold,
        ttl=settings.cache_ttl_seconds * SECOND,
        max_age=None if age is None else age * SECOND,
        shadow=settings.cache_shadow_share,
        enabled=settings.cache,
    )
    cache = Cache(store.cache, embedder, clock, room=settings.cache_memory_mb << 20)
    return Reuse(cache, Coalescer(), clock, defaults, edition, TermsBook(store.shelf, clock))


def _observe(
    runtime: Runtime,
    store: Store,
    observers: Fanout,
    registry: Registry,
    reuse: Reuse,
    tenants: Tenancy,
    cells: Cells | None,
) -> Observatory:
    """Introduce the parts that count to what gathers their figures: one line each."""
    observatory = Observatory(store, runtime.flows.at_hand)
    observers.add(observatory.telemetry)
    metrics = observatory.metrics
    metrics.add("store", store.stats)
    metrics.add("driver", runtime.driver.stats)
    metrics.add("feed", runtime.feed.stats)
    metrics.add("observers", observers.stats)
    metrics.add("agents", registry.stats)
    metrics.add("limits", tenants.gate.stats)
    metrics.add("cache", reuse.cache.ledger.stats)
    metrics.add("coalescing", reuse.flights.stats)
    metrics.add("batches", runtime.batches.stats)
    metrics.add("snapshots", runtime.driver.snapshotter.stats)
    if isinstance(cells, LazyCells):
        metrics.add("cells", cells.stats)
    metrics.add("process", Process(installed_version, SystemClock().now(), resident).stats)
    observatory.health.add("store", partial(_writable, store))
    return observatory


async def _writable(store: Store) -> str:
    await store.probe()
    return "writable"


def _trace(endpoint: str, observatory: Observatory, registry: Registry, closing: AsyncExitStack) -> None:
    """Send traces from here on. Raises `InvalidSetting` where the libraries for it are missing."""
    from stratarouter_runtime.observability.otlp import Exporter  # noqa: PLC0415 - start-up cost, and an extra

    def describe(name: AgentName) -> Operation:
        agent = registry.get(name)
        return Operation("invoke_workflow") if agent is None else agent.operation

    exporter = Exporter(endpoint, installed_version())
    closing.push_async_callback(asyncio.to_thread, exporter.close)
    observatory.send_traces(exporter, describe)


async def _open_store(settings: Settings, store: Path | str | None, *, readonly: bool) -> tuple[Store, str]:
    """The store, and where it is."""
    if store == ":memory:":
        return MemoryStore(), ":memory:"
    place = place_of(settings, store)
    if isinstance(place, str):
        return await _open_database(settings, place, readonly=readonly)
    return (open_readonly(place) if readonly else open_store(place)), str(place)


@asynccontextmanager
async def administration(settings: Settings, *, store: Path | str | None = None) -> AsyncIterator[Office]:
    """What is about tenants, for commands: also of a store that a server owns. Raises `StoreError`."""
    try:
        opened, _ = await _open_store(settings, store, readonly=False)
    except StoreLocked:
        place = place_of(settings, store)
        if isinstance(place, str):
            raise
        opened = open_beside(place)
    try:
        yield Office(opened, tenancy(settings, opened, SystemClock(), SystemEntropy()))
    finally:
        await opened.close()


async def reach(settings: Settings, store: Path | str | None = None) -> tuple[str, float]:
    """Where a store is, and the seconds that a small answer from it takes.

    Changes nothing there. Raises `StoreError`.
    """
    opened, place = await _open_store(settings, store, readonly=True)
    try:
        await opened.flows(LOCAL)
        began = perf_counter()
        await opened.flows(LOCAL)
        return place, perf_counter() - began
    finally:
        await opened.close()


async def _open_database(settings: Settings, url: str, *, readonly: bool) -> tuple[Store, str]:
    from stratarouter_runtime.storage import postgres  # noqa: PLC0415 - start-up cost

    opens = postgres.open_readonly if readonly else postgres.open_store
    opened = await opens(
        url, connections=settings.database_max_connections, span=settings.database_lease_seconds
    )
    return opened, opened.place


def _open_core(closing: AsyncExitStack) -> GuardedCore:
    """StrataRouter-Core, as soon as something asks it. Raises `InvalidSetting` where it is not installed."""
    from stratarouter_runtime.bridge.core import GuardedCore, check_installed  # noqa: PLC0415 - start-up cost

    check_installed()
    core = GuardedCore(SystemClock())
    closing.callback(core.close)
    return core


async def _names(runtime: Runtime, tenant: Tenant) -> list[str]:
    """The agents and flows of a tenant that a routing rule may name."""
    await runtime.flows.offer_deployed(tenant)
    return runtime.flows.names(tenant)


def encoder(settings: Settings) -> Encoder:
    """The encoder of the settings. Raises `InvalidSetting` where it is not installed."""
    from stratarouter_runtime.bridge.choice import open_encoder  # noqa: PLC0415 - start-up cost
    from stratarouter_runtime.bridge.encoder import Place  # noqa: PLC0415 - likewise

    reference = settings.encoder_key
    key = None if reference is None else workshop(settings).secrets.reader(reference, "encoder.key")
    place = Place(settings.encoder_url, settings.encoder_model, settings.encoder_dimension, key)
    return open_encoder(
        settings.encoder, folder=settings.encoder_path, cache=settings.encoder_cache, place=place
    )


def _open_embedder(settings: Settings) -> Embedder:
    """Opened when something is embedded: nothing that does neither route nor reuse should wait for it."""
    from stratarouter_runtime.bridge.batching import BatchedEncoder  # noqa: PLC0415 - start-up cost

    return BatchedEncoder(encoder(settings))


def _open_scorer(embedder: Embedder) -> Scorer:
    """Opened when something routes: a flow without routes should not wait for numpy."""
    from stratarouter_runtime.bridge.scorer import CosineScorer  # noqa: PLC0415 - start-up cost

    return CosineScorer(embedder)
