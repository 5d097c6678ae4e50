from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import pytest
from typing_extensions import override

from stratarouter_runtime.bridge.batching import BatchedEncoder
from stratarouter_runtime.bridge.choice import open_encoder
from stratarouter_runtime.bridge.scorer import CosineScorer
from stratarouter_runtime.errors import Conflict, InvalidState, LimitExceeded, NotFound
from stratarouter_runtime.ids import LOCAL, AgentName, Tenant
from stratarouter_runtime.ports import Asked, Core, CoreTable, Embedder
from stratarouter_runtime.routing.rules import Question, Rule
from stratarouter_runtime.routing.tables import MAX_UTTERANCES, Route, Table, check
from stratarouter_runtime.services.feedback import Remark, Said, learn
from stratarouter_runtime.services.routers import AGENTS, PINNED, Routers
from stratarouter_runtime.services.versions import VERSIONS
from stratarouter_runtime.state.events import Given
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.system import SystemClock

TABLE: Final = Table(
    AGENTS,
    (
        Route("say", ("say it aloud", "say hello", "please say my name")),
        Route("tell", ("tell me a story", "tell the truth", "tell us a tale")),
    ),
)
CANDIDATES: Final = ((AgentName("say"), "saying"), (AgentName("tell"), "telling"))


class Renamed(Embedder):
    """Another encoder in the place of the one before."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    @override
    def identity(self) -> str:
        return "another"

    @override
    async def embed(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        return await self._embedder.embed(texts)


class Saying(Core):
    """A core that says one thing."""

    def __init__(self, said: Given | str) -> None:
        self.said = said

    @override
    async def decide(self, table: CoreTable, query: str, vector: bytes) -> Given | str:
        return self.said


@pytest.fixture
async def embedder() -> AsyncIterator[BatchedEncoder]:
    front = BatchedEncoder(open_encoder("lexical"))
    yield front
    front.close()


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    yield store
    await store.close()


def made(store: MemoryStore, embedder: Embedder, core: Core | None = None) -> Routers:
    return Routers(store.shelf, CosineScorer(embedder), embedder, SystemClock(), core=core)


async def promoted(routers: Routers) -> str:
    return await routers.tables.add(LOCAL, await routers.tables.fit(TABLE), promote=True)


async def asked(routers: Routers, query: str, tenant: Tenant = LOCAL) -> Asked:
    return Asked(tenant, query, CANDIDATES, f"lexical-hashed-ngrams/1/1024{await routers.pin(tenant)}")


async def test_a_promoted_table_is_pinned_and_decides(store: MemoryStore, embedder: Embedder) -> None:
    routers = made(store, embedder)
    assert await routers.pin(LOCAL) == ""
    digest = await promoted(routers)
    assert await routers.pin(LOCAL) == f"{PINNED}{digest}"
    found = await routers.compare(await asked(routers, "a story"))
    assert found.why is not None
    assert (found.why.by, found.why.agent, found.why.table) == ("table", "tell", digest)
    assert len(found.scores) == 2


async def test_another_tenant_sees_nothing_of_it(store: MemoryStore, embedder: Embedder) -> None:
    routers = made(store, embedder)
    await promoted(routers)
    await routers.put_rules(LOCAL, [Rule("r", "say", prefix="a")])
    other = Tenant("other")
    assert await routers.pin(other) == ""
    assert (await routers.compare(await asked(routers, "a story", other))).why is None


async def test_a_version_that_is_not_promoted_changes_nothing(store: MemoryStore, embedder: Embedder) -> None:
    routers = made(store, embedder)
    digest = await routers.tables.add(LOCAL, await routers.tables.fit(TABLE), promote=False)
    assert await routers.pin(LOCAL) == ""
    await routers.tables.promote(LOCAL, AGENTS, digest[:8])
    assert await routers.pin(LOCAL) == f"{PINNED}{digest}"
    with pytest.raises(NotFound, match="no version"):
        await routers.tables.promote(LOCAL, AGENTS, "zz")


async def test_an_encoder_that_changed_is_told_by_name(store: MemoryStore, embedder: Embedder) -> None:
    routers = made(store, embedder)
    await promoted(routers)
    question = await asked(routers, "a story")
    with pytest.raises(InvalidState, match=r"compiled with the encoder lexical.*and another is in use"):
        await made(store, Renamed(embedder)).compare(question)


async def test_a_version_that_was_changed_on_the_shelf_is_not_used(
    store: MemoryStore, embedder: Embedder
) -> None:
    routers = made(store, embedder)
    digest = await promoted(routers)
    question = await asked(routers, "a story")
    await store.shelf.put(LOCAL, VERSIONS, f"{AGENTS}@{digest[:32]}", b"other", at=1)
    with pytest.raises(NotFound, match="gone, or was changed"):
        await made(store, embedder).compare(question)


async def test_a_candidate_the_table_does_not_know_is_compared_by_what_it_is_about(
    store: MemoryStore, embedder: Embedder
) -> None:
    routers = made(store, embedder)
    await promoted(routers)
    known = await asked(routers, "telling")
    found = await routers.compare(
        Asked(LOCAL, "telling", (*CANDIDATES, (AgentName("new"), "news")), known.router)
    )
    assert found.why is None
    assert max(found.scores) == found.scores[1]


@pytest.mark.parametrize(
    ("said", "by", "note"),
    [
        (Given("say", 0.9), "core", "not calibrated"),
        ("took too long", "table", "StrataRouter-Core took too long"),
    ],
)
async def test_core_decides_where_it_does_and_else_the_table(
    store: MemoryStore, embedder: Embedder, said: Given | str, by: str, note: str
) -> None:
    routers = made(store, embedder, Saying(said))
    await promoted(routers)
    found = await routers.compare(await asked(routers, "a story"))
    assert found.why is not None
    assert found.why.by == by
    assert note in found.why.note


async def test_rules_of_another_version_are_not_overwritten(store: MemoryStore, embedder: Embedder) -> None:
    routers = made(store, embedder)
    held = await routers.put_rules(LOCAL, [Rule("r", "say", prefix="a")])
    await routers.put_rules(LOCAL, [Rule("s", "say", prefix="b")], expected=held.version)
    with pytest.raises(Conflict):
        await routers.put_rules(LOCAL, [Rule("t", "say", prefix="c")], expected=held.version)


def remark(query: str, said: Said, chosen: str = "say") -> Remark:
    return Remark("exec_1", said, 1, query=query, chosen=chosen)


def test_what_was_said_moves_queries_to_where_they_belong() -> None:
    remarks = [remark(f"query {number}", Said("wrong", should="tell")) for number in range(20)]
    remarks += [
        remark("say hello", Said("wrong", should="tell")),
        remark("odd one", Said("wrong", should="none")),
    ]
    remarks += [remark("lost", Said("wrong", should="ghost")), remark("unsaid", Said(answer="good"))]
    learnt, held = learn(TABLE, remarks)
    tell = next(route for route in learnt.routes if route.name == "tell")
    say = next(route for route in learnt.routes if route.name == "say")
    texts = {*tell.utterances, *learnt.none}
    assert 0 < len(held) < 11
    assert all(one.query not in texts for one in held)
    assert {one.query for one in remarks[:22]} == (texts - set(TABLE.routes[1].utterances)) | {
        one.query for one in held
    }
    assert ("say hello" in say.utterances) == any(one.query == "say hello" for one in held)
    assert learn(TABLE, remarks) == (learnt, held)


async def test_versions_that_are_added_at_once_are_all_kept(store: MemoryStore, embedder: Embedder) -> None:
    routers = made(store, embedder)
    tables = [Table(AGENTS, (Route("say", (f"say {n}",)), Route("tell", (f"tell {n}",)))) for n in range(8)]
    fitted = [await routers.tables.fit(table) for table in tables]
    added = await asyncio.gather(*(routers.tables.add(LOCAL, one, promote=False) for one in fitted))
    assert set((await routers.tables.pointer(LOCAL, AGENTS)).versions) == set(added)
    await asyncio.gather(*(routers.tables.promote(LOCAL, AGENTS, digest) for digest in added))
    assert (await routers.tables.pointer(LOCAL, AGENTS)).promoted in added


async def test_a_condition_lets_one_of_many_promote(store: MemoryStore, embedder: Embedder) -> None:
    routers = made(store, embedder)
    digest = await promoted(routers)
    expected = (await routers.tables.pointer(LOCAL, AGENTS)).document
    calls = [routers.tables.promote(LOCAL, AGENTS, digest, expected=expected) for _ in range(5)]
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert [one for one in done if not isinstance(one, Conflict)] == [digest]


async def test_rules_that_are_written_at_once_are_all_kept(store: MemoryStore, embedder: Embedder) -> None:
    routers = made(store, embedder)
    rules = [Rule(f"r{number}", "say", prefix="a") for number in range(8)]
    await asyncio.gather(*(routers.put_rules(LOCAL, [rule]) for rule in rules))
    assert {rule.name for rule in (await routers.rules(LOCAL)).written} == {rule.name for rule in rules}


async def test_a_version_larger_than_a_document_is_kept_in_parts(
    store: MemoryStore, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stratarouter_runtime.services.versions.PART", 1_000)
    routers = made(store, embedder)
    digest = await promoted(routers)
    assert len(await store.shelf.all(LOCAL, VERSIONS)) > 3
    again = made(store, embedder)
    assert (await again.tables.router(LOCAL, AGENTS, digest)).digest == digest
    await store.shelf.remove(LOCAL, VERSIONS, f"{AGENTS}@{digest[:32]}+1", at=1)
    with pytest.raises(NotFound, match="gone, or was changed"):
        await made(store, embedder).tables.router(LOCAL, AGENTS, digest)


async def test_a_version_of_another_encoder_is_not_promoted(store: MemoryStore, embedder: Embedder) -> None:
    digest = await promoted(made(store, embedder))
    other = made(store, Renamed(embedder))
    with pytest.raises(InvalidState, match=r"fitted with the encoder lexical.*and another is in use"):
        await other.tables.promote(LOCAL, AGENTS, digest)


async def test_a_table_has_room_for_so_many_versions(
    store: MemoryStore, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stratarouter_runtime.services.versions.MAX_VERSIONS", 1)
    routers = made(store, embedder)
    await promoted(routers)
    more = await routers.tables.fit(Table(AGENTS, (Route("say", ("x",)),)))
    with pytest.raises(LimitExceeded, match="has 1 versions"):
        await routers.tables.add(LOCAL, more, promote=True)


@pytest.mark.parametrize(
    ("said", "by", "note"),
    [
        (Given("say", 0.7), "core", "StrataRouter-Core's own"),
        ("took too long", "table", "StrataRouter-Core took too long"),
        ("named a route that is not known", "table", "StrataRouter-Core named a route"),
    ],
)
async def test_core_is_asked_for_a_decision_too(
    store: MemoryStore, embedder: Embedder, said: Given | str, by: str, note: str
) -> None:
    routers = made(store, embedder, Saying(said))
    await promoted(routers)
    found = await routers.decide(LOCAL, AGENTS, Question("say my name"))
    assert (found.route, found.by) == ("say", by)
    assert note in found.note


async def test_what_came_from_core_and_is_no_route_is_noted(store: MemoryStore, embedder: Embedder) -> None:
    routers = made(store, embedder)
    await promoted(routers)
    found = await routers.decide(LOCAL, AGENTS, Question("say my name"), Given("nobody", 0.9))
    assert (found.route, found.by) == ("say", "table")
    assert "named 'nobody', which is no candidate" in found.note


def said(query: str, belongs: str, at: int = 0) -> Remark:
    return Remark(f"exec-{query[:20]}", Said("wrong", should=belongs), at, query=query, chosen="x")


def learnt(*remarks: Remark) -> Table:
    """Also from what would be held out: which that is depends on the text."""
    table, held = learn(TABLE, remarks)
    assert not held
    return table


def test_remarks_a_table_cannot_take_are_left_out() -> None:
    long = "x" * 5_000
    taken = learnt(said(long, "say"), said("  ", "say"), said("\ud800", "say"), said("hello", "nobody"))
    assert taken == TABLE


def test_the_last_example_of_a_route_stays() -> None:
    table = Table(AGENTS, (Route("say", ("say hello",)), Route("tell", ("tell me a story",))))
    learnt, held = learn(table, [said("say hello", "tell")])
    assert held or learnt == table


def test_a_flood_of_remarks_leaves_a_table_that_can_be_fitted() -> None:
    flood = [said(f"query {number}", "say", at=number) for number in range(30_000)]
    table, _ = learn(TABLE, flood)
    assert sum(len(route.utterances) for route in table.routes) == MAX_UTTERANCES
    check(table)
    kept = set(table.routes[0].utterances)
    newest = [one.query for one in flood[-3_000:]]
    assert sum(query in kept for query in newest) > 2_000
