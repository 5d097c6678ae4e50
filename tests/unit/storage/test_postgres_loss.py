"""Connections that are lost, and servers that are away: nothing acknowledged is lost, nothing done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.conformance.backends import ANN, PLAN, name, record, records, row
from tests.postgres import server
from tests.unit.storage.severed import Cut, Wire

from stratarouter_runtime.errors import Conflict, StoreError, StoreUnavailable
from stratarouter_runtime.ids import FlowId
from stratarouter_runtime.ports import Deployed
from stratarouter_runtime.storage.postgres import PostgresStore, open_store
from stratarouter_runtime.storage.postgres.address import parse
from stratarouter_runtime.storage.postgres.lane import Lane

MARK = b"the record in question"
CUTS: list[Cut] = ["before", "after", "silent"]


@pytest.fixture
async def url() -> str:
    return await server().database()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    made = Wire(server().port)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def store(url: str, wire: Wire) -> AsyncIterator[PostgresStore]:
    """A store behind the wire, which takes a second of silence for the end of a connection."""
    opened = await open_store(through(wire, url), patience=1.0)
    yield opened
    await opened.close()


def through(wire: Wire, url: str) -> str:
    return url.replace(f":{server().port}/", f":{wire.port}/")


# Commits that get no answer.


@pytest.mark.parametrize("how", CUTS)
async def test_an_append_that_got_no_answer_is_kept_once(store: PostgresStore, wire: Wire, how: Cut) -> None:
    await store.create(row(1), records(0))
    wire.cut(MARK, how)
    await store.append(name(1), [record(1, MARK)])
    assert wire.cuts == 1
    await store.append(name(1), records(2))
    assert [kept.body for kept in await store.read(name(1), after=0)] == [MARK, record(2).body]


@pytest.mark.parametrize("how", CUTS)
async def test_a_beginning_that_got_no_answer_is_still_the_first(
    store: PostgresStore, wire: Wire, how: Cut
) -> None:
    wire.cut(MARK, how)
    assert await store.create(row(1), [record(0, MARK)])
    assert wire.cuts == 1
    assert not await store.create(row(1), records(0))
    await store.append(name(1), records(1))
    assert len(await store.read(name(1))) == 2


@pytest.mark.parametrize("how", CUTS)
async def test_a_whole_batch_is_decided_as_one(store: PostgresStore, wire: Wire, how: Cut) -> None:
    await asyncio.gather(*[store.create(row(number), records(0)) for number in range(60)])
    wire.cut(MARK, how)
    end = row(0, status="completed", updated=5_000, output=1)
    outcomes = await asyncio.gather(
        *[store.append(name(number), [record(1, MARK)], end) for number in range(40)],
        *[store.append(name(number), records(5)) for number in range(40, 60)],
        *[store.create(row(number), records(0)) for number in range(50, 70)],
        return_exceptions=True,
    )
    assert wire.cuts == 1
    assert outcomes[:40] == [None] * 40
    assert [type(outcome) for outcome in outcomes[40:60]] == [Conflict] * 20
    assert outcomes[60:] == [False] * 10 + [True] * 10
    lengths = [len(await store.read(name(number))) for number in range(70)]
    assert lengths == [2] * 40 + [1] * 30


async def test_of_a_lost_commit_and_another_process_one_wins(
    store: PostgresStore, wire: Wire, url: str
) -> None:
    """The same record, byte for byte: only the commit's own number tells whose it is."""
    await store.create(row(1), records(0))
    other = await open_store(url)
    wire.cut(MARK, "before")
    mine = asyncio.create_task(store.append(name(1), [record(1, MARK)]))
    await wire.happened.wait()
    await other.append(name(1), [record(1, MARK)])
    with pytest.raises(Conflict, match="has 2 records"):
        await mine
    await other.close()


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_deployment_that_got_no_answer_happens_once(
    store: PostgresStore, wire: Wire, url: str, how: Cut
) -> None:
    first = Deployed(FlowId("f"), ANN, PLAN, "mine", 1)
    wire.cut(b"COMMIT;", how)
    mine = asyncio.create_task(store.deploy(first))
    await wire.happened.wait()
    await mine
    assert await store.deployed(ANN, FlowId("f")) == first


async def test_a_deployment_that_came_true_does_not_replace_a_later_one(
    store: PostgresStore, wire: Wire, url: str
) -> None:
    other = await open_store(url)
    wire.cut(b"COMMIT;", "after")
    mine = asyncio.create_task(store.deploy(Deployed(FlowId("f"), ANN, PLAN, "mine", 1)))
    await wire.happened.wait()
    await asyncio.sleep(0.1)
    later = Deployed(FlowId("f"), ANN, PLAN, "later", 2)
    await other.deploy(later)
    await mine
    assert await store.deployed(ANN, FlowId("f")) == later
    await other.close()


async def test_a_lane_waits_for_the_end_of_the_session_it_lost(url: str) -> None:
    """As long as that is at work, what became of its commit is open."""
    await (await open_store(url)).close()
    lost, again = Lane(parse(url), 7, 1.0), Lane(parse(url), 7, 1.0)
    await lost.open()
    with pytest.raises(StoreUnavailable, match="still at work"):
        await again.open()
    await asyncio.sleep(0.1)
    await again.open()
    await again.close()
    await lost.close()


# Writes side by side.


async def test_an_append_may_follow_on_the_heels_of_its_creation(url: str) -> None:
    store = await open_store(url)
    outcomes = await asyncio.gather(
        store.create(row(1), records(0)), store.append(name(1), records(1)), store.append(name(1), records(2))
    )
    assert list(outcomes) == [True, None, None]
    assert await store.read(name(1)) == records(0, 1, 2)
    await store.close()


async def test_a_refused_creation_leaves_no_record_behind(url: str) -> None:
    one, two = await open_store(url), await open_store(url)
    await one.create(row(1), records(0))
    assert not await two.create(row(1), records(0, 1, 2))
    assert await server().execute("SELECT count(*)::int FROM strata.records", url.rpartition("/")[2]) == [
        (1,)
    ]
    await one.close()
    await two.close()


async def test_no_number_is_given_out_twice(url: str) -> None:
    stores = [await open_store(url) for _ in range(2)]
    taken = [await store._numbers.take() for _ in range(2_500) for store in stores]
    assert len(set(taken)) == 5_000
    assert taken[::2] == sorted(taken[::2])
    for store in stores:
        await store.close()


# Sessions that are ended.


async def test_all_sessions_are_ended_again_and_again_under_load(url: str) -> None:
    store = await open_store(url)
    acknowledged = dict.fromkeys(range(40), 0)
    done = asyncio.Event()

    async def drive(number: int) -> None:
        await store.create(row(number), records(0))
        while not done.is_set():
            following = acknowledged[number] + 1
            await store.append(name(number), records(following))
            acknowledged[number] = following

    drivers = [asyncio.create_task(drive(number)) for number in acknowledged]
    for _ in range(10):
        await asyncio.sleep(0.1)
        await server().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stratarouter'"
        )
    before = sum(acknowledged.values())
    await asyncio.sleep(0.3)
    done.set()
    await asyncio.gather(*drivers)
    assert sum(acknowledged.values()) > before
    for number, last in acknowledged.items():
        assert await store.read(name(number)) == records(*range(last + 1))
    await store.close()


async def test_questions_are_asked_again(url: str) -> None:
    store = await open_store(url)
    await store.create(row(1), records(0))
    for _ in range(5):
        await asyncio.gather(*[store.find(name(1)) for _ in range(20)])
        await server().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stratarouter'"
        )
        assert await asyncio.gather(*[store.read(name(1)) for _ in range(20)]) == [records(0)] * 20
    await store.close()


# Several processes on one database.


async def test_a_store_notices_what_others_have_written(url: str) -> None:
    one, two = await open_store(url), await open_store(url)
    assert await one.create(row(1), records(0))
    assert not await two.create(row(1), records(0))
    await two.append(name(1), records(1))
    with pytest.raises(Conflict, match="has 2 records"):
        await one.append(name(1), records(1))
    await one.append(name(1), records(2))
    await two.append(name(1), records(3))
    with pytest.raises(Conflict, match="has 4 records"):
        await two.append(name(1), records(3))
    assert await one.read(name(1)) == records(0, 1, 2, 3)
    await one.close()
    await two.close()


async def test_conflicts_of_two_processes_spoil_no_other_write(url: str) -> None:
    stores = [await open_store(url) for _ in range(2)]
    for number in range(30):
        await stores[0].create(row(number), records(0))

    async def drive(store: PostgresStore, number: int, body: bytes) -> int:
        for seq in range(1, 20):
            try:
                await store.append(name(number), [record(seq, body)])
            except Conflict:
                return seq - 1
        return 19

    tasks = [
        drive(store, number, bytes([place])) for number in range(30) for place, store in enumerate(stores)
    ]
    won = await asyncio.gather(*tasks)
    for number in range(30):
        kept = [one.body for one in await stores[0].read(name(number), after=0)]
        mine, theirs = won[2 * number : 2 * number + 2]
        assert len(kept) == mine + theirs == 19
        assert kept.count(b"\x00") == mine
    for store in stores:
        await store.close()


# A server that is away.


async def test_a_write_waits_only_so_long(url: str) -> None:
    store = await open_store(url, patience=0.5)
    await store.create(row(1), records(0))
    server().stop()
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        tries = [
            *[store.append(name(1), records(seq)) for seq in (1, 2, 3)],
            store.create(row(2), []),
            store.read(name(1)),
            store.deploy(Deployed(FlowId("f"), ANN, PLAN, "", 1)),
        ]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 6
        assert loop.time() - began < 3
        hints = [outcome.hint for outcome in outcomes if isinstance(outcome, StoreError)]
        assert all(hints)
    finally:
        server().start()
    await store.append(name(1), records(1))
    assert await store.read(name(1)) == records(0, 1)
    await store.close()


async def test_closing_without_a_server_ends(url: str) -> None:
    store = await open_store(url, patience=0.3)
    await store.create(row(1), records(0))
    server().stop()
    try:
        waiting = asyncio.create_task(store.append(name(1), records(1)))
        await asyncio.sleep(0)
        await asyncio.wait_for(store.close(), 3)
        with pytest.raises(StoreUnavailable):
            await waiting
    finally:
        server().start()
