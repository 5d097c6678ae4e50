"""Routing tables and rules of tenants: kept on the shelf, at work here.

A table is kept in versions that never change, and one of them is promoted; which one a plan goes by
was settled when it was compiled. Must never know: HTTP, SQL, or how anything is weighed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from typing_extensions import override

from stratarouter_runtime.errors import Conflict, InvalidInput, InvalidState, NotFound
from stratarouter_runtime.ports import (
    Asked,
    Clock,
    Compared,
    Core,
    CoreTable,
    Embedder,
    Scorer,
    Shelf,
    Switch,
)
from stratarouter_runtime.routing import rules as ruling
from stratarouter_runtime.routing.explained import MAX_QUERY, Decision, check_query
from stratarouter_runtime.routing.tables import Table, check
from stratarouter_runtime.state.events import Given, Why

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Digest, Tenant
    from stratarouter_runtime.ports import Kept
    from stratarouter_runtime.routing.decisions import Router
    from stratarouter_runtime.routing.fitting import Fitted

TABLES: Final = "routing-table"
RULES: Final = "routing-rules"
AGENTS: Final = "agents"
"""The table whose routes are names of agents: flows route by it where it knows all candidates."""
PINNED: Final = " table/"
"""Between the encoder and the table in what a plan says of its router."""

_AT_WORK: Final = 16
_FRESH: Final = 1_000_000
"""Microseconds for which rules are taken for what they were; a change made here holds at once."""

Known = Callable[["Tenant"], Awaitable[Sequence[str]]]


class Pointer(Struct, frozen=True):
    """What is known of a table by its name: how many versions there are, and the digest of each."""

    versions: tuple[str, ...] = ()
    promoted: str = ""


class Held(Struct, frozen=True):
    """The rules of a tenant: as written, compiled, and the version of the document."""

    written: tuple[ruling.Rule, ...]
    compiled: ruling.Rules
    version: int
    read: int


class Routers(Switch):
    """Decides for whom queries are. `agents` lists those a rule may name; None where any may be named.

    With a `core`, StrataRouter-Core decides between the candidates that a table knows, as far as it does.
    """

    def __init__(
        self,
        shelf: Shelf,
        scorer: Scorer,
        embedder: Embedder,
        clock: Clock,
        agents: Known | None = None,
        core: Core | None = None,
    ) -> None:
        self._shelf = shelf
        self._scorer = scorer
        self._embedder = embedder
        self._clock = clock
        self._agents = agents
        self._core = core
        self._tables: OrderedDict[str, CoreTable] = OrderedDict()
        self._routers: OrderedDict[tuple[Tenant, str], Router] = OrderedDict()
        self._rules: dict[Tenant, Held] = {}

    # What flows ask.

    @override
    async def pin(self, tenant: Tenant) -> str:
        promoted = (await self.pointer(tenant, AGENTS)).promoted
        return f"{PINNED}{promoted}" if promoted else ""

    @override
    async def compare(self, asked: Asked) -> Compared:
        names = [name for name, _ in asked.candidates]
        ruled = await self._ruled(asked, names)
        if ruled is not None:
            return Compared((), ruled)
        note = ""
        if asked.given is not None:
            if asked.given.route_id in names:
                return Compared((), _core(asked.given))
            note = f"StrataRouter-Core named '{asked.given.route_id[:140]}', which is no candidate"
        return await self._compared(asked, names, note)

    async def _ruled(self, asked: Asked, names: Sequence[str]) -> Why | None:
        rules = (await self.rules(asked.tenant)).compiled
        found = rules.first(ruling.Question(asked.query, asked.labels, asked.input), names)
        return None if found is None else Why("rule", found.agent, rule=found.name)

    async def _compared(self, asked: Asked, names: Sequence[str], note: str) -> Compared:
        encoder, _, table = asked.router.partition(PINNED)
        if encoder and encoder != self._scorer.identity:
            raise InvalidState(
                f"the plan was compiled with the encoder {encoder}, and {self._scorer.identity} is in use",
                hint="deploy the flow again, or set the encoder it was compiled with",
            )
        router = await self.router(asked.tenant, AGENTS, table) if table and asked.query.strip() else None
        if router is not None and router.covers(names):
            return await self._by_table(asked.query, names, router, note)
        scores = await self._scorer.score(asked.query, [about for _, about in asked.candidates])
        return Compared(scores, Why("about", note=note) if note else None)

    async def _by_table(self, query: str, names: Sequence[str], router: Router, note: str) -> Compared:
        text = query[:MAX_QUERY]
        (vector,) = await self._embedder.embed([text])
        beside = await self._beside(router, names, text, vector)
        if isinstance(beside, Given):
            return Compared((), _core(beside))
        note = "; ".join(part for part in (note, beside) if part)
        decision = router.decide(text, vector, self._embedder.identity, names)
        scores = {candidate.route: candidate.score for candidate in decision.candidates}
        why = Why(
            "table",
            decision.route or "",
            confidence=decision.confidence,
            threshold=decision.threshold,
            runner_up=decision.runner_up,
            margin=decision.margin,
            table=router.digest,
            note="; ".join(part for part in (note, decision.note) if part),
        )
        return Compared(tuple(scores.get(name, 0.0) for name in names), why)

    async def _beside(self, router: Router, names: Sequence[str], text: str, vector: bytes) -> Given | str:
        """What StrataRouter-Core decides where it is asked; else why it did not, or nothing."""
        if self._core is None:
            return ""
        digest = f"{router.digest} {' '.join(names)}"
        table = self._tables.get(digest)
        if table is None:
            table = self._tables[digest] = CoreTable(digest, tuple(names), router.centroids(names))
            if len(self._tables) > _AT_WORK:
                self._tables.popitem(last=False)
        found = await self._core.decide(table, text, vector)
        return found if isinstance(found, Given) else f"StrataRouter-Core {found}"

    # What people ask.

    async def decide(
        self, tenant: Tenant, name: str, asked: ruling.Question, given: Given | None = None
    ) -> Decision:
        """Decide as a flow would that could go to any route of the promoted table; runs nothing.

        Raises `NotFound` without such a table, `InvalidInput`, `InvalidState`.
        """
        check_query(asked.query)
        promoted = (await self.pointer(tenant, name)).promoted
        if not promoted:
            raise NotFound(
                f"no version of a routing table '{name}' is promoted",
                hint="fit one: strata routing fit, and promote it with --promote",
            )
        router = await self.router(tenant, name, promoted)
        found = (await self.rules(tenant)).compiled.first(asked)
        if found is not None:
            return Decision(found.agent, "rule", rule=found.name, table=router.digest)
        if given is not None and given.route_id in router.routes:
            return Decision(given.route_id, "core", confidence=_core(given).confidence, table=router.digest)
        return await self.ask(router, asked.query)

    async def ask(self, router: Router, query: str) -> Decision:
        """What a version of a table makes of a query, whatever the rules say."""
        (vector,) = await self._embedder.embed([query])
        return router.decide(query, vector, self._embedder.identity)

    # Tables.

    async def pointer(self, tenant: Tenant, name: str) -> Pointer:
        """Which versions of a table there are; none of a table that is not there."""
        kept = await self._shelf.get(tenant, TABLES, name)
        return Pointer() if kept is None else msgspec.json.decode(kept.body, type=Pointer)

    async def fit(self, table: Table, *, quick: bool = False) -> Fitted:
        """Learn from a table. Raises `InvalidInput` that names its faults."""
        from stratarouter_runtime.routing import fitting  # noqa: PLC0415 - start-up cost

        check(table)
        known = fitting.examples(table)
        vectors = fitting.matrix(await self._embedder.embed([*known.texts, *table.none]))
        count = len(known.texts)
        identity = self._embedder.identity
        return await asyncio.to_thread(
            fitting.fit, table, vectors[:count], vectors[count:], identity, quick=quick
        )

    async def add(self, tenant: Tenant, fitted: Fitted, *, promote: bool, by: str = "") -> Digest:
        """Keep a new version, and promote it where told; its digest. Adding one twice changes nothing.

        Raises `Conflict` where somebody else added one at the same time.
        """
        from stratarouter_runtime.routing import fitting  # noqa: PLC0415 - start-up cost

        body, name, at = fitting.encode(fitted), fitted.table.name, self._clock.now()
        digest = fitting.digest_of(body)
        kept, pointer = await self._pointing(tenant, name)
        if digest not in pointer.versions:
            await self._shelf.put(tenant, TABLES, _version(name, digest), body, at=at, by=by)
        versions = pointer.versions if digest in pointer.versions else (*pointer.versions, digest)
        await self._point(tenant, name, Pointer(versions, digest if promote else pointer.promoted), kept, by)
        return digest

    async def promote(self, tenant: Tenant, name: str, digest: str, *, by: str = "") -> Digest:
        """Have plans that are compiled from now on go by this version, named by its digest or its beginning.

        Raises `NotFound`, `Conflict`.
        """
        kept, pointer = await self._pointing(tenant, name)
        found = [one for one in pointer.versions if digest and one.startswith(digest)]
        if len(found) != 1:
            raise NotFound(f"the routing table '{name}' has no version {digest[:64]!r}")
        await self._point(tenant, name, Pointer(pointer.versions, found[0]), kept, by)
        return (await self.router(tenant, name, found[0])).digest

    async def router(self, tenant: Tenant, name: str, digest: str) -> Router:
        """A version of a table at work. Raises `NotFound`."""
        from stratarouter_runtime.routing import fitting  # noqa: PLC0415 - start-up cost
        from stratarouter_runtime.routing.decisions import Router  # noqa: PLC0415 - start-up cost

        router = self._routers.get((tenant, digest))
        if router is None:
            kept = await self._shelf.get(tenant, TABLES, _version(name, digest))
            if kept is None or fitting.digest_of(kept.body) != digest:
                raise NotFound(
                    f"version {digest[:12]}… of the routing table '{name}' is gone, or was changed"
                )
            router = await asyncio.to_thread(Router, fitting.decode(kept.body), fitting.digest_of(kept.body))
            self._routers[tenant, digest] = router
            if len(self._routers) > _AT_WORK:
                self._routers.popitem(last=False)
        self._routers.move_to_end((tenant, digest))
        return router

    async def _pointing(self, tenant: Tenant, name: str) -> tuple[Kept | None, Pointer]:
        kept = await self._shelf.get(tenant, TABLES, name)
        return kept, Pointer() if kept is None else msgspec.json.decode(kept.body, type=Pointer)

    async def _point(self, tenant: Tenant, name: str, to: Pointer, kept: Kept | None, by: str) -> None:
        expected = 0 if kept is None else kept.version
        await self._shelf.put(
            tenant, TABLES, name, msgspec.json.encode(to), at=self._clock.now(), by=by, expected=expected
        )

    # Rules.

    async def rules(self, tenant: Tenant) -> Held:
        """The rules in force."""
        held = self._rules.get(tenant)
        now = self._clock.now()
        if held is not None and 0 <= now - held.read < _FRESH:
            return held
        kept = await self._shelf.get(tenant, RULES, RULES)
        if kept is None:
            held = Held((), ruling.Rules(()), 0, now)
        elif held is not None and held.version == kept.version:
            held = msgspec.structs.replace(held, read=now)
        else:
            written = ruling.read_rules(msgspec.json.decode(kept.body))
            held = Held(written, ruling.compile_rules(written), kept.version, now)
        self._rules[tenant] = held
        return held

    async def put_rules(
        self, tenant: Tenant, rules: Sequence[ruling.Rule], *, by: str = "", expected: int | None = None
    ) -> Held:
        """Add rules; one takes the place of the rule of its name, where it stands.

        Raises `InvalidInput` that names every fault, and `Conflict` where the rules are not of the
        version `expected`.
        """
        agents = None if self._agents is None else await self._agents(tenant)
        ruling.compile_rules(rules, agents)
        self._rules.pop(tenant, None)
        held = await self.rules(tenant)
        merged: dict[str, ruling.Rule] = {rule.name: rule for rule in held.written}
        merged |= {rule.name: rule for rule in rules}
        return await self._write_rules(tenant, tuple(merged.values()), held, by, expected)

    async def remove_rules(
        self, tenant: Tenant, names: Sequence[str] | None = None, *, by: str = "", expected: int | None = None
    ) -> Held:
        """Take rules away, or all. Raises `NotFound` where one is not there, `Conflict` as `put_rules`."""
        self._rules.pop(tenant, None)
        held = await self.rules(tenant)
        missing = [name for name in names or () if name not in {rule.name for rule in held.written}]
        if missing:
            raise NotFound(f"there is no routing rule '{missing[0][:140]}'")
        left = () if names is None else tuple(rule for rule in held.written if rule.name not in names)
        return await self._write_rules(tenant, left, held, by, expected)

    async def _write_rules(
        self, tenant: Tenant, rules: tuple[ruling.Rule, ...], held: Held, by: str, expected: int | None
    ) -> Held:
        ruling.compile_rules(rules)
        if expected is not None and expected != held.version:
            raise Conflict(f"the routing rules are at version {held.version}, not {expected}")
        body = msgspec.json.encode(rules)
        at = self._clock.now()
        await self._shelf.put(tenant, RULES, RULES, body, at=at, by=by, expected=held.version)
        self._rules.pop(tenant, None)
        return await self.rules(tenant)


def _version(name: str, digest: str) -> str:
    return f"{name}@{digest[:32]}"


def _core(given: Given) -> Why:
    """What Core says is not calibrated: it is told, and compared with nothing."""
    return Why(
        "core",
        given.route_id,
        confidence=given.confidence if isfinite(given.confidence) else 0.0,
        note="the confidence is StrataRouter-Core's own, and not calibrated",
    )


def read_given(data: Mapping[str, Any]) -> Given:
    """A decision of StrataRouter-Core from JSON data. Raises `InvalidInput`."""
    try:
        return msgspec.convert(data, Given)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"this is no routing decision: {error}", pointer="/routing") from None
