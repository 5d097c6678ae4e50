"""For whom queries are: rules of tenants, decisions that came along, StrataRouter-Core, tables, meaning.

Which version of a table a plan goes by was settled when it was compiled. Must never know: HTTP, SQL,
or how anything is weighed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from typing_extensions import override

from stratarouter_runtime.errors import Conflict, InvalidState, NotFound
from stratarouter_runtime.lru import Lru
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
from stratarouter_runtime.services.versions import Versions
from stratarouter_runtime.state.events import Given, Why

if TYPE_CHECKING:
    from stratarouter_runtime.ids import Tenant
    from stratarouter_runtime.routing.decisions import Router

RULES: Final = "routing-rules"
AGENTS: Final = "agents"
"""The table whose routes are names of agents: flows route by it where it knows all candidates."""
PINNED: Final = " table/"
"""Between the encoder and the table in what a plan says of its router."""

_AT_WORK: Final = 16
_FRESH: Final = 1_000_000
"""Microseconds for which rules are taken for what they were; a change made here holds at once."""

Known = Callable[["Tenant"], Awaitable[Sequence[str]]]


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
        self.tables = Versions(shelf, embedder, clock)
        self._of_core: Lru[str, CoreTable] = Lru(_AT_WORK)
        self._rules: dict[Tenant, Held] = {}
        self._writing = asyncio.Lock()

    # What flows ask.

    @override
    async def pin(self, tenant: Tenant) -> str:
        promoted = (await self.tables.pointer(tenant, AGENTS)).promoted
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
            note = _unknown(asked.given)
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
        router = (
            await self.tables.router(asked.tenant, AGENTS, table) if table and asked.query.strip() else None
        )
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
        table = self._of_core.get(digest)
        if table is None:
            table = self._of_core.put(digest, CoreTable(digest, tuple(names), router.centroids(names)))
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
        promoted = (await self.tables.pointer(tenant, name)).promoted
        if not promoted:
            raise NotFound(
                f"no version of a routing table '{name}' is promoted",
                hint="fit one: strata routing fit, and promote it with --promote",
            )
        router = await self.tables.router(tenant, name, promoted)
        found = (await self.rules(tenant)).compiled.first(asked)
        if found is not None:
            return Decision(found.agent, "rule", rule=found.name, table=router.digest)
        note = ""
        if given is not None:
            if given.route_id in router.routes:
                return _decided(given, router)
            note = _unknown(given)
        (vector,) = await self._embedder.embed([asked.query])
        beside = await self._beside(router, router.routes, asked.query, vector)
        if isinstance(beside, Given):
            return _decided(beside, router)
        decision = router.decide(asked.query, vector, self._embedder.identity)
        note = "; ".join(part for part in (note, beside, decision.note) if part)
        return replace(decision, note=note)

    async def ask(self, router: Router, query: str) -> Decision:
        """What a version of a table makes of a query, whatever the rules say."""
        (vector,) = await self._embedder.embed([query])
        return router.decide(query, vector, self._embedder.identity)

    # Rules.

    async def edition(self, tenant: Tenant) -> str:
        """What decides beside the tables that plans name: the version of the rules, and whether Core is asked."""
        version = (await self.rules(tenant)).version
        return str(version) if self._core is None else f"{version} core"

    async def rules(self, tenant: Tenant, *, anew: bool = False) -> Held:
        """The rules in force; `anew`: as the store has them at this moment."""
        held = self._rules.get(tenant)
        now = self._clock.now()
        if held is not None and not anew and 0 <= now - held.read < _FRESH:
            return held
        kept = await self._shelf.get(tenant, RULES, RULES)
        if kept is None:
            held = Held((), ruling.Rules(()), 0, now)
        elif held is not None and held.version == kept.version:
            held = msgspec.structs.replace(held, read=now)
        else:
            written = ruling.read_rules(msgspec.json.decode(kept.body))
            held = Held(written, ruling.compile_rules(written), kept.version, now)
        newer = self._rules.get(tenant)
        if newer is not None and newer.version > held.version:
            return newer  # written while this was read
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
        async with self._writing:
            held = await self.rules(tenant, anew=True)
            merged: dict[str, ruling.Rule] = {rule.name: rule for rule in held.written}
            merged |= {rule.name: rule for rule in rules}
            return await self._write_rules(tenant, tuple(merged.values()), held, by, expected)

    async def remove_rules(
        self, tenant: Tenant, names: Sequence[str] | None = None, *, by: str = "", expected: int | None = None
    ) -> Held:
        """Take rules away, or all. Raises `NotFound` where one is not there, `Conflict` as `put_rules`."""
        async with self._writing:
            held = await self.rules(tenant, anew=True)
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


def _unknown(given: Given) -> str:
    return f"StrataRouter-Core named '{given.route_id[:140]}', which is no candidate"


def _core(given: Given) -> Why:
    """What Core says is not calibrated: it is told, and compared with nothing."""
    return Why(
        "core",
        given.route_id,
        confidence=given.confidence if isfinite(given.confidence) else 0.0,
        note="the confidence is StrataRouter-Core's own, and not calibrated",
    )


def _decided(given: Given, router: Router) -> Decision:
    """A decision of Core as it is told."""
    why = _core(given)
    return Decision(
        why.agent, "core", why.agent, confidence=why.confidence, table=router.digest, note=why.note
    )
